// Package locate finds a clover-controller through the Kubernetes API, and
// how to talk to it: its address, its CA and a token.
package locate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// Names in the cluster.
const (
	controllerApp = "clover-controller"
	caConfigMap   = "clover-ca"
	caKey         = "ca.crt"
)

// probeTimeout bounds the look whether a node's or load balancer's address can
// be reached from here.
const probeTimeout = time.Second

// ErrNotInstalled says that there is no clover-controller in the namespace.
var ErrNotInstalled = errors.New("there is no clover-controller")

// Endpoint is where a controller is, and how to talk to it.
type Endpoint struct {
	URL string
	// Via is the way to it: "NodePort", "load balancer" or "port-forward".
	Via string
	// Transport has the cluster's CA and the stream to the pod, if that is
	// the way.
	Transport *http.Transport
}

// Secure reports whether nobody on the way can read what is sent.
func (e *Endpoint) Secure() bool {
	u, err := url.Parse(e.URL)
	return err == nil && u.Scheme == "https" || e.Via == viaForward
}

// Forwarded reports whether the way goes through the API server.
func (e *Endpoint) Forwarded() bool { return e.Via == viaForward }

const (
	viaNode     = "NodePort"
	viaBalancer = "load balancer"
	viaForward  = "port-forward"
)

// Controller finds the controller of a namespace. host is an address of a
// node for a NodePort service, if the user has named one; else the addresses
// of the nodes are tried. When no address is reachable from here, the way is
// a stream through the API server.
func Controller(ctx context.Context, c *kube.Cluster, namespace, host string) (*Endpoint, error) {
	list, err := c.Typed().CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + controllerApp})
	if err != nil {
		return nil, kube.Explain(err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("%w in namespace %s of %s\nMake one with 'cloverctl create system controller', or say where it is with --controller or -n", ErrNotInstalled, namespace, c)
	}
	pool, err := authority(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the cluster's addresses are no names of the world
	transport.TLSClientConfig = &tls.Config{
		RootCAs: pool, ServerName: controllerApp + "." + namespace + ".svc", MinVersion: tls.VersionTLS12,
	}
	for i := range list.Items {
		service := &list.Items[i]
		if address, via := outside(ctx, c, service, host); address != "" {
			return &Endpoint{URL: scheme(service) + "://" + address, Via: via, Transport: transport}, nil
		}
	}
	if host != "" {
		return nil, fmt.Errorf("the controller in namespace %s has no NodePort, for which ControllerIP %s would be the address\nMake one with 'cloverctl create system controller nodeport', or remove ControllerIP: then the way is found by itself", namespace, host)
	}
	service := inside(list.Items)
	forward := &forwarder{cluster: c, service: service}
	transport.DialContext = forward.dial
	return &Endpoint{URL: scheme(service) + "://" + transport.TLSClientConfig.ServerName, Via: viaForward, Transport: transport}, nil
}

// authority reads the CA that the install has made. Without one nothing is
// trusted beyond the system's own.
func authority(ctx context.Context, c *kube.Cluster, namespace string) (*x509.CertPool, error) {
	m, err := c.Typed().CoreV1().ConfigMaps(namespace).Get(ctx, caConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kube.Explain(err)
	}
	return Pool([]byte(m.Data[caKey]), "ConfigMap "+namespace+"/"+caConfigMap)
}

// Pool reads certificates; source is where they are from.
func Pool(pem []byte, source string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", source)
	}
	return pool, nil
}

// scheme is how the service's port is spoken to.
func scheme(s *corev1.Service) string {
	for _, p := range s.Spec.Ports {
		if isREST(&p) && p.AppProtocol != nil && *p.AppProtocol == "https" {
			return "https"
		}
	}
	return "http"
}

// isREST reports whether a port is that of REST.
func isREST(p *corev1.ServicePort) bool { return p.Port == 80 || p.Port == 443 }

// inside returns the service that exists for the cluster itself.
func inside(services []corev1.Service) *corev1.Service {
	for i := range services {
		if services[i].Name == controllerApp {
			return &services[i]
		}
	}
	return &services[0]
}

// outside returns the address of a service that can be reached from here.
func outside(ctx context.Context, c *kube.Cluster, s *corev1.Service, host string) (address, via string) {
	for _, p := range s.Spec.Ports {
		if !isREST(&p) {
			continue
		}
		for _, in := range s.Status.LoadBalancer.Ingress {
			for _, name := range []string{in.IP, in.Hostname} {
				if a := net.JoinHostPort(name, strconv.Itoa(int(p.Port))); name != "" && answers(ctx, a) {
					return a, viaBalancer
				}
			}
		}
		if s.Spec.Type != corev1.ServiceTypeNodePort || p.NodePort == 0 {
			continue
		}
		port := strconv.Itoa(int(p.NodePort))
		if host != "" {
			a := net.JoinHostPort(host, port)
			awaitPort(ctx, a)
			return a, viaNode
		}
		for _, name := range nodeAddresses(ctx, c) {
			if a := net.JoinHostPort(name, port); answers(ctx, a) {
				return a, viaNode
			}
		}
	}
	return "", ""
}

// maxNodes bounds how many nodes are tried.
const maxNodes = 3

// nodeAddresses returns addresses of ready nodes; none if the user may not
// list nodes.
func nodeAddresses(ctx context.Context, c *kube.Cluster) []string {
	nodes, err := c.Typed().CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: maxNodes})
	if err != nil {
		return nil
	}
	var found []string
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
				found = append(found, a.Address)
			}
		}
	}
	return found
}

// newPortTimeout is how long nodes get to open the port of a service that is
// only just there.
const newPortTimeout = 3 * time.Second

// awaitPort waits a little until an address answers. Whether it does is for
// the caller to see.
func awaitPort(ctx context.Context, address string) {
	_ = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, newPortTimeout, true, func(ctx context.Context) (bool, error) {
		return answers(ctx, address), nil
	})
}

// answers reports whether an address accepts connections.
func answers(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: probeTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
