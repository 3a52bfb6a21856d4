package tracing

import (
	"strconv"
	"strings"
)

// cleanCluster takes the ';' away that Envoy's upstream_cluster.name ends in
// under Istio, and "-" for none.
func cleanCluster(v string) string { return cleanDash(strings.TrimSuffix(v, ";")) }

func cleanDash(v string) string {
	if v == "-" {
		return ""
	}
	return v
}

// parseStatus reads an HTTP status code. Envoy says 0 where a request got no
// response.
func parseStatus(v string) (int, bool) {
	code, err := strconv.Atoi(v)
	return code, err == nil && code >= 0 && code <= 999
}

func parseSize(v string) (int, bool) {
	size, err := strconv.Atoi(v)
	return size, err == nil && size >= 0
}

// grpcStatusNames are the names of gRPC's status codes, by code.
var grpcStatusNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
	"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// parseGRPCStatus reads a gRPC status code by number or by name.
func parseGRPCStatus(v string) (int, bool) {
	if v == "" {
		return 0, false
	}
	if c := v[0]; c >= '0' && c <= '9' {
		code, err := strconv.Atoi(v)
		return code, err == nil && code < len(grpcStatusNames)
	}
	for code, name := range grpcStatusNames {
		if strings.EqualFold(v, name) {
			return code, true
		}
	}
	return 0, false
}

// nodeNamespace returns the Kubernetes namespace in an Istio proxy's node id,
// "sidecar~IP~POD.NAMESPACE~DOMAIN"; "" for any other node.
func nodeNamespace(node string) string {
	_, rest, ok := strings.Cut(node, "~")
	if !ok {
		return ""
	}
	_, rest, _ = strings.Cut(rest, "~")
	pod, _, ok := strings.Cut(rest, "~")
	if !ok {
		return ""
	}
	return pod[strings.LastIndexByte(pod, '.')+1:]
}

// joinScope and splitScope convert an instrumentation scope between the form
// of [Span.Scope] and its two parts.
func joinScope(name, version string) string {
	if version == "" {
		return name
	}
	return name + " " + version
}

func splitScope(scope string) (name, version string) {
	i := strings.LastIndexByte(scope, ' ')
	if i <= 0 || i == len(scope)-1 {
		return scope, ""
	}
	return scope[:i], scope[i+1:]
}

// protocol reads the application protocol into the form of a request line,
// "HTTP/1.1".
func (n *normalizer) protocol() {
	s := n.s
	for _, list := range n.lists() {
		name, hasName := list.value(keyProtocolName)
		version, hasVersion := list.value(keyProtocolVersion)
		if !hasName && (!hasVersion || s.Method == "") {
			continue
		}
		if !hasName {
			name = "http"
		}
		protocol, ok := joinProtocol(name, version)
		if !ok {
			continue
		}
		if s.Protocol == "" {
			s.Protocol = protocol
		}
		if s.Protocol == protocol {
			list.drop(keyProtocolName)
			list.drop(keyProtocolVersion)
		}
	}
	n.text(&s.Protocol, cleanProtocol, keyHTTPProtocol)
	n.text(&s.Protocol, flavorProtocol, keyHTTPFlavor)
}

// joinProtocol makes "HTTP/1.1" of "http" and "1.1". It refuses names that
// would not come back by splitProtocol.
func joinProtocol(name, version string) (string, bool) {
	if name == "http" {
		switch version {
		case "1.1":
			return "HTTP/1.1", true
		case "2", "2.0":
			return "HTTP/2", true
		}
	}
	for i := range len(name) {
		if c := name[i]; c == '/' || c >= 'A' && c <= 'Z' || c > '~' {
			return "", false
		}
	}
	if name == "" {
		return "", false
	}
	if version == "" {
		return strings.ToUpper(name), true
	}
	return strings.ToUpper(name) + "/" + version, true
}

// splitProtocol is the inverse of joinProtocol; ok is false if there is none.
func splitProtocol(protocol string) (name, version string, ok bool) {
	switch protocol { // without changing case, which allocates
	case "HTTP/1.1":
		return "http", "1.1", true
	case "HTTP/2":
		return "http", "2", true
	}
	upper, version, _ := strings.Cut(protocol, "/")
	name = strings.ToLower(upper)
	back, ok := joinProtocol(name, version)
	return name, version, ok && back == protocol
}

func cleanProtocol(v string) string {
	if v == "HTTP/2.0" {
		return "HTTP/2"
	}
	return v
}

// flavorProtocol reads the older convention's http.flavor: "1.1", "2.0" or
// the name of a protocol.
func flavorProtocol(v string) string {
	if v == "" || v[0] < '0' || v[0] > '9' {
		return v
	}
	protocol, _ := joinProtocol("http", v)
	return protocol
}
