package mesh

import (
	"fmt"
	"slices"
	"strings"

	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// protocols are those that a gateway's port may have.
var protocols = []string{"HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "TCP", "TLS"}

func (c *checker) gateway(g *networking.Gateway) {
	c.labelled("spec.selector", g.Spec.GetSelector())
	if len(g.Spec.GetServers()) == 0 {
		c.bad("spec.servers", "is empty: the gateway would listen nowhere")
	}
	names := map[string]bool{}
	for i, server := range g.Spec.GetServers() {
		at := fmt.Sprintf("spec.servers[%d]", i)
		c.gatewayPort(at+".port", server.GetPort(), names)
		c.gatewayTLS(at+".tls", server)
		if len(server.GetHosts()) == 0 {
			c.bad(at+".hosts", "is empty, want host names or \"*\"")
		}
		for j, host := range server.GetHosts() {
			namespace, name, scoped := strings.Cut(host, "/")
			if !scoped {
				name = host
			} else if namespace == "" {
				c.bad(fmt.Sprintf("%s.hosts[%d]", at, j), "%q has no namespace before the \"/\"", host)
			}
			c.host(fmt.Sprintf("%s.hosts[%d]", at, j), name)
		}
	}
}

func (c *checker) gatewayPort(at string, port *networkingapi.Port, names map[string]bool) {
	if port == nil {
		c.bad(at, "is missing")
		return
	}
	c.portNumber(at+".number", port.GetNumber())
	if !slices.Contains(protocols, strings.ToUpper(port.GetProtocol())) {
		c.bad(at+".protocol", "%q is unknown, want one of %s", port.GetProtocol(), strings.Join(protocols, ", "))
	}
	switch name := port.GetName(); {
	case name == "":
		c.bad(at+".name", "is missing")
	case names[name]:
		c.bad(at+".name", "%q is taken by another server", name)
	default:
		names[name] = true
	}
}

func (c *checker) gatewayTLS(at string, server *networkingapi.Server) {
	protocol := strings.ToUpper(server.GetPort().GetProtocol())
	tls := server.GetTls()
	secure := protocol == "HTTPS" || protocol == "TLS"
	if tls == nil {
		if secure {
			c.bad(at, "is missing: protocol %s needs a mode and, unless it is PASSTHROUGH, a certificate", protocol)
		}
		return
	}
	if !secure {
		if !tls.GetHttpsRedirect() {
			c.bad(at, "protocol %s has no TLS: use HTTPS, or httpsRedirect alone", protocol)
		}
		return
	}
	mode := tls.GetMode()
	own := mode == networkingapi.ServerTLSSettings_SIMPLE || mode == networkingapi.ServerTLSSettings_MUTUAL ||
		mode == networkingapi.ServerTLSSettings_OPTIONAL_MUTUAL
	files := tls.GetServerCertificate() != "" && tls.GetPrivateKey() != ""
	many := len(tls.GetCredentialNames()) > 0 || len(tls.GetTlsCertificates()) > 0
	if own && tls.GetCredentialName() == "" && !files && !many {
		c.bad(at, "mode %s needs credentialName, or serverCertificate and privateKey", mode)
	}
}

// gatewayNamed finds the gateway that a VirtualService of that namespace
// refers to.
func (w world) gatewayNamed(ref, namespace string) *networking.Gateway {
	name := ref
	if ns, rest, ok := strings.Cut(ref, "/"); ok {
		namespace, name = ns, rest
	}
	for _, g := range w.Gateways {
		if g.Namespace == namespace && g.Name == name {
			return g
		}
	}
	return nil
}

// admits reports whether a gateway lets a VirtualService of that namespace
// take one of those hosts.
func admits(g *networking.Gateway, namespace string, hosts []string) bool {
	for _, server := range g.Spec.GetServers() {
		for _, pattern := range server.GetHosts() {
			if from, name, ok := strings.Cut(pattern, "/"); ok {
				if from == "." {
					from = g.Namespace
				}
				if from != "*" && from != namespace {
					continue
				}
				pattern = name
			}
			for _, host := range hosts {
				if covers(pattern, host) || covers(host, pattern) {
					return true
				}
			}
		}
	}
	return false
}

// arrivals lists the ports of the gateways that a VirtualService is bound to;
// nil if there may be others.
func (w world) arrivals(v *networking.VirtualService) []uint32 {
	var ports []uint32
	for _, ref := range v.Spec.GetGateways() {
		g := w.gatewayNamed(ref, v.Namespace)
		if g == nil {
			return nil // the sidecars, or one that is not known
		}
		for _, server := range g.Spec.GetServers() {
			ports = append(ports, server.GetPort().GetNumber())
		}
	}
	return ports
}
