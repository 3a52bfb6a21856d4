package target

import "strings"

// The protocols that port names stand for. A name that is none of them is
// kept as it is: a plug-in may know it.
const (
	HTTP  = "http" // of any version, told apart by what is sent
	HTTP2 = "http2"
	GRPC  = "grpc"
	Redis = "redis"
	DNS   = "dns"
	TLS   = "tls" // and everything in it: nothing but its size can be seen
	TCP   = "tcp" // something that is not to be parsed
)

// aliases are the names that Istio and Kubernetes give to protocols.
var aliases = map[string]string{
	"http": HTTP, "http1": HTTP, "http1.1": HTTP, "grpc-web": HTTP, "kubernetes.io/ws": HTTP, "ws": HTTP,
	"http2": HTTP2, "h2c": HTTP2, "kubernetes.io/h2c": HTTP2,
	"grpc":  GRPC,
	"redis": Redis,
	"dns":   DNS, "domain": DNS,
	"https": TLS, "tls": TLS, "hbone": TLS, "kubernetes.io/wss": TLS, "wss": TLS,
	"tcp": TCP, "udp": TCP, "mongo": TCP, "mysql": TCP,
}

// ProtocolOf returns the protocol of a port by Istio's conventions:
// appProtocol counts first, then the name, which is PROTOCOL or
// PROTOCOL-SUFFIX. It returns "" if neither says one.
func ProtocolOf(name, appProtocol string) string {
	if app := strings.ToLower(appProtocol); app != "" {
		if p, ok := aliases[app]; ok {
			return p
		}
		return app
	}
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "grpc-web") {
		return HTTP
	}
	first, _, _ := strings.Cut(name, "-")
	if p, ok := aliases[first]; ok {
		return p
	}
	return ""
}

// Protocol is [ProtocolOf], for names that a parser is there for as well.
func (s Selection) Protocol(name, appProtocol string) string {
	if p := ProtocolOf(name, appProtocol); p != "" {
		return p
	}
	first, _, _ := strings.Cut(strings.ToLower(name), "-")
	if first != "" && s.Known != nil && s.Known(first) {
		return first
	}
	return ""
}
