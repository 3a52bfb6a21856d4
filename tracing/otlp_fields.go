package tracing

import (
	"strconv"
	"strings"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// ownFields are fields of OTLP's span for which [Attribute]s stand.
type ownFields struct {
	failed, ok                bool
	traceState                string
	attributes, events, links uint32 // dropped
}

func (o *ownFields) status() tracepb.Status_StatusCode {
	switch {
	case o.failed:
		return tracepb.Status_STATUS_CODE_ERROR
	case o.ok:
		return tracepb.Status_STATUS_CODE_OK
	}
	return tracepb.Status_STATUS_CODE_UNSET
}

// restore puts an attribute that stands for one of the fields back into it.
func (o *ownFields) restore(a *Attribute) bool {
	var count *uint32
	switch a.Key {
	case attrStatusCode:
		if a.Value != "OK" || o.failed || o.ok {
			return false
		}
		o.ok = true
		return true
	case attrTraceState:
		o.traceState = valid(a.Value)
		return true
	case attrDroppedAttributes:
		count = &o.attributes
	case attrDroppedEvents:
		count = &o.events
	case attrDroppedLinks:
		count = &o.links
	default:
		return false
	}
	n, err := strconv.ParseUint(a.Value, 10, 32)
	if err != nil || n == 0 || a.Type != TypeInt {
		return false
	}
	*count = uint32(n)
	return true
}

// fields collects the attributes that a span's named fields become. A key
// that the span has already, with a value that contradicts the field, is not
// written twice. list may be reused.
type fields struct {
	list []typed
	have []Attribute
}

// resource starts anew with the fields of a span's resource.
func (f *fields) resource(s *Span) {
	f.list, f.have = f.list[:0], s.Resource
	f.text(keyServiceName, s.Service)
	f.text(keyServiceVersion, s.Version)
	f.text(keyK8sNamespace, s.Namespace)
}

// span starts anew with all others.
func (f *fields) span(s *Span) {
	f.list, f.have = f.list[:0], s.Attributes
	f.http(s)
	f.mesh(s)
}

func (f *fields) has(k key) bool {
	_, ok := find(f.have, k)
	return ok
}

func (f *fields) text(k key, v string) {
	if v != "" && !f.has(k) {
		f.list = append(f.list, typed{key: keyNames[k], text: v})
	}
}

func (f *fields) number(k key, v int64) {
	if !f.has(k) {
		f.list = append(f.list, typed{key: keyNames[k], kind: TypeInt, bits: uint64(v)})
	}
}

func (f *fields) port(k key, v string) {
	if n, err := strconv.ParseUint(v, 10, 16); err == nil && strconv.FormatUint(n, 10) == v {
		f.number(k, int64(n))
	} else {
		f.text(k, v)
	}
}

func (f *fields) http(s *Span) {
	f.text(keyRequestMethod, s.Method)
	if s.StatusCode != 0 {
		f.number(keyResponseStatus, int64(s.StatusCode))
	}
	if s.GRPCStatus >= 0 {
		f.number(keyRPCGRPCStatus, int64(s.GRPCStatus))
	}
	f.text(keyUserAgentOriginal, s.UserAgent)
	if s.RequestSize >= 0 {
		f.number(keyRequestBodySize, s.RequestSize)
	}
	if s.ResponseSize >= 0 {
		f.number(keyResponseBodySize, s.ResponseSize)
	}
	f.url(s)
	if name, version, ok := splitProtocol(s.Protocol); ok {
		f.text(keyProtocolName, name)
		f.text(keyProtocolVersion, version)
	} else {
		f.text(keyHTTPProtocol, s.Protocol)
	}
}

// url writes the whole URL, and the parts that the conventions require of
// each side.
func (f *fields) url(s *Span) {
	f.text(keyURLFull, s.URL)
	p := splitURL(s.URL)
	switch {
	case s.Kind == KindServer && p.path != "":
		f.text(keyURLScheme, p.scheme)
		f.text(keyURLPath, p.path)
		f.text(keyURLQuery, p.query)
	case s.Kind == KindClient && p.host != "" && !f.has(keyServerAddress) && !f.has(keyServerPort):
		f.text(keyServerAddress, p.host)
		f.port(keyServerPort, p.port)
	}
	if s.URLTemplate != "" && s.URLTemplate != Template(s.URL) {
		if s.Kind == KindClient {
			f.text(keyURLTemplate, s.URLTemplate)
		} else {
			f.text(keyRoute, s.URLTemplate)
		}
	}
}

func (f *fields) mesh(s *Span) {
	if host, port := splitPort(s.Peer); port != "" && strings.Trim(host, "[]") != "" {
		f.text(keyPeerAddr, strings.Trim(host, "[]"))
		f.port(keyPeerPort, port)
	} else {
		f.text(keyPeerAddr, s.Peer)
	}
	f.text(keyUpstreamCluster, s.UpstreamCluster)
	f.text(keyResponseFlags, s.ResponseFlags)
	f.text(keyRequestID, s.RequestID)
	f.text(keyCanonicalService, s.Workload)
	if node := nodeFallback(s); node != s.Node {
		f.text(keyNodeID, s.Node)
	}
	// The resource says something else under the conventions' names.
	if v, ok := find(s.Resource, keyServiceVersion); ok && v != s.Version {
		f.text(keyCanonicalRevision, s.Version)
	}
	if v, ok := find(s.Resource, keyK8sNamespace); ok && v != s.Namespace {
		f.text(keyIstioNamespace, s.Namespace)
	}
}

// nodeFallback is the node that [Normalize] would find in the attributes.
func nodeFallback(s *Span) string {
	for _, k := range [...]key{keyHostName, keyHostname, keyPodName} {
		for _, list := range [...][]Attribute{s.Attributes, s.Resource} {
			if v, _ := find(list, k); v != "" {
				return v
			}
		}
	}
	return ""
}

// find returns the first value of a key.
func find(list []Attribute, k key) (string, bool) {
	name := keyNames[k]
	for i := range list {
		if list[i].Key == name {
			return list[i].Value, true
		}
	}
	return "", false
}
