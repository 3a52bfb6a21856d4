package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/api/nginx"
)

// agentsKnowTheController holds that the services of the sample are
// configured with the controller's certificate, with no other of the same
// authority, and with none.
func (k *kit) agentsKnowTheController() {
	k.Helper()
	address := k.nodePort(sampleNamespace, "proxy-access-control", 50054)
	defer func() {
		k.check(k.api.CoreV1().Services(sampleNamespace).Delete(k.Context(), "test-proxy-access-control", metav1.DeleteOptions{}))
	}()
	ours := k.certificate(cloverNamespace, "clover-controller-tls")
	k.eventually(func() (bool, string) { // until the port of the node leads there
		err := k.unblock(address, ours)
		return err == nil, fmt.Sprint(err)
	})
	for name, creds := range map[string]credentials.TransportCredentials{
		"another service": k.certificate(sampleNamespace, "clover-server1-tls"), "plaintext": insecure.NewCredentials(),
	} {
		if err := k.unblock(address, creds); err == nil {
			k.Errorf("%s may configure the proxy", name)
		}
	}
}

// unblock calls the proxy as the controller does.
func (k *kit) unblock(address string, creds credentials.TransportCredentials) error {
	k.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	k.check(err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(k.Context(), 30*time.Second)
	defer cancel()
	_, err = nginx.NewControllerClient(conn).ModifyProxy(ctx, &nginx.ModifyProxyRequest{Unblock: []string{"192.0.2.1"}})
	return err
}

// certificate shows that of a secret and expects the proxy's.
func (k *kit) certificate(namespace, secret string) credentials.TransportCredentials {
	k.Helper()
	s, err := k.api.CoreV1().Secrets(namespace).Get(k.Context(), secret, metav1.GetOptions{})
	k.check(err)
	pair, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
	k.check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Data["ca.crt"])
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "proxy-access-control",
	})
}
