package tracing

// key numbers the attribute names that [Normalize] understands.
type key uint8

const (
	keyNone key = iota

	// The parts that a URL may come in; contiguous, see keyIndex.scan.
	keyURLScheme
	keyHTTPScheme
	keyURLPath
	keyURLQuery
	keyHTTPTarget
	keyHTTPHost
	keyServerAddress
	keyServerPort
	keyNetHostName
	keyNetHostPort
	keyNetPeerName
	keyNetPeerPort

	keyURLFull
	keyHTTPURL
	keyRequestMethod
	keyHTTPMethod
	keyResponseStatus
	keyHTTPStatus
	keyUserAgentOriginal
	keyUserAgent
	keyHTTPUserAgent
	keyRequestBodySize
	keyRequestContentLength
	keyRequestSize
	keyResponseBodySize
	keyResponseContentLength
	keyResponseSize
	keyPeerAddr
	keyPeerPort
	keyPeerAddress
	keyUpstreamAddress
	keySockPeerAddr
	keySockPeerPort
	keyNetPeerIP
	keyProtocolName
	keyProtocolVersion
	keyHTTPProtocol
	keyHTTPFlavor
	keyRPCGRPCStatus
	keyRPCResponseStatus
	keyGRPCStatus
	keyRoute
	keyURLTemplate
	keyUpstreamCluster
	keyUpstreamClusterName
	keyResponseFlags
	keyRequestID
	keyNodeID
	keySpanKind
	keyError
	keyStatusCode
	keyStatusDescription
	keyScopeName
	keyScopeVersion
	keyLibraryName
	keyLibraryVersion
	keyServiceName
	keyServiceVersion
	keyCanonicalRevision
	keyCanonicalService
	keyIstioNamespace
	keyK8sNamespace

	// Fallbacks: a field may take their value, but they stay in the list.
	keyServiceNamespace
	keyHostName
	keyHostname
	keyPodName
	keyDeployment
	keyStatefulSet
	keyDaemonSet

	numKeys
)

// keyNames spells the keys. Sources: Envoy's source/common/tracing/
// common_values.h and http_tracer_impl.cc; OpenTelemetry semantic conventions
// 1.37 (docs/http, docs/general/attributes.md, docs/rpc) and, for the older
// names, 1.12 and 1.20; OpenTelemetry's transformation to non-OTLP formats
// (otel.*); OpenTracing's conventions (span.kind, error); Istio's
// pilot/pkg/networking/core/tracing.go (istio.*).
var keyNames = [numKeys]string{
	keyURLScheme:             "url.scheme",
	keyHTTPScheme:            "http.scheme",
	keyURLPath:               "url.path",
	keyURLQuery:              "url.query",
	keyHTTPTarget:            "http.target",
	keyHTTPHost:              "http.host",
	keyServerAddress:         "server.address",
	keyServerPort:            "server.port",
	keyNetHostName:           "net.host.name",
	keyNetHostPort:           "net.host.port",
	keyNetPeerName:           "net.peer.name",
	keyNetPeerPort:           "net.peer.port",
	keyURLFull:               "url.full",
	keyHTTPURL:               "http.url",
	keyRequestMethod:         "http.request.method",
	keyHTTPMethod:            "http.method",
	keyResponseStatus:        "http.response.status_code",
	keyHTTPStatus:            "http.status_code",
	keyUserAgentOriginal:     "user_agent.original",
	keyUserAgent:             "user_agent",
	keyHTTPUserAgent:         "http.user_agent",
	keyRequestBodySize:       "http.request.body.size",
	keyRequestContentLength:  "http.request_content_length",
	keyRequestSize:           "request_size",
	keyResponseBodySize:      "http.response.body.size",
	keyResponseContentLength: "http.response_content_length",
	keyResponseSize:          "response_size",
	keyPeerAddr:              "network.peer.address",
	keyPeerPort:              "network.peer.port",
	keyPeerAddress:           "peer.address",
	keyUpstreamAddress:       "upstream_address",
	keySockPeerAddr:          "net.sock.peer.addr",
	keySockPeerPort:          "net.sock.peer.port",
	keyNetPeerIP:             "net.peer.ip",
	keyProtocolName:          "network.protocol.name",
	keyProtocolVersion:       "network.protocol.version",
	keyHTTPProtocol:          "http.protocol",
	keyHTTPFlavor:            "http.flavor",
	keyRPCGRPCStatus:         "rpc.grpc.status_code",
	keyRPCResponseStatus:     "rpc.response.status_code",
	keyGRPCStatus:            "grpc.status_code",
	keyRoute:                 "http.route",
	keyURLTemplate:           "url.template",
	keyUpstreamCluster:       "upstream_cluster",
	keyUpstreamClusterName:   "upstream_cluster.name",
	keyResponseFlags:         "response_flags",
	keyRequestID:             "guid:x-request-id",
	keyNodeID:                "node_id",
	keySpanKind:              "span.kind",
	keyError:                 "error",
	keyStatusCode:            "otel.status_code",
	keyStatusDescription:     "otel.status_description",
	keyScopeName:             "otel.scope.name",
	keyScopeVersion:          "otel.scope.version",
	keyLibraryName:           "otel.library.name",
	keyLibraryVersion:        "otel.library.version",
	keyServiceName:           "service.name",
	keyServiceVersion:        "service.version",
	keyCanonicalRevision:     "istio.canonical_revision",
	keyCanonicalService:      "istio.canonical_service",
	keyIstioNamespace:        "istio.namespace",
	keyK8sNamespace:          "k8s.namespace.name",
	keyServiceNamespace:      "service.namespace",
	keyHostName:              "host.name",
	keyHostname:              "hostname",
	keyPodName:               "k8s.pod.name",
	keyDeployment:            "k8s.deployment.name",
	keyStatefulSet:           "k8s.statefulset.name",
	keyDaemonSet:             "k8s.daemonset.name",
}

var keyByName = func() map[string]key {
	m := make(map[string]key, numKeys)
	for k := keyNone + 1; k < numKeys; k++ {
		m[keyNames[k]] = k
	}
	return m
}()

// keyIndex says where in a list of attributes the known keys are, and which
// of the list's entries are to be dropped since a field holds their value.
type keyIndex struct {
	list     []Attribute
	at       [numKeys]int32 // position + 1; 0: absent
	urlParts bool           // some part of a URL is in the list
	repeated bool           // a known key is in the list more than once
	sorted   bool
	dropped  int
	bits     [4]uint64 // dropped entries, for lists of up to 256
	more     []uint64  // dropped entries of longer lists
}

func (x *keyIndex) scan(list []Attribute) {
	*x = keyIndex{list: list, sorted: true}
	if len(list) > 64*len(x.bits) {
		x.more = make([]uint64, len(list)/64+1)
	}
	for i := range list {
		if i > 0 && list[i].Key < list[i-1].Key {
			x.sorted = false
		}
		k, ok := keyByName[list[i].Key]
		switch {
		case !ok:
		case x.at[k] != 0:
			x.repeated = true
			if list[i] == list[x.at[k]-1] {
				x.mark(i) // says nothing new
			}
		default:
			x.at[k] = int32(i + 1)
			x.urlParts = x.urlParts || k < keyURLFull
		}
	}
}

func (x *keyIndex) value(k key) (string, bool) {
	if i := x.at[k]; i > 0 {
		return x.list[i-1].Value, true
	}
	return "", false
}

// drop takes k out: it is not seen again, and rest leaves it away.
func (x *keyIndex) drop(k key) {
	i := x.at[k] - 1
	if i < 0 {
		return
	}
	x.at[k] = 0
	x.mark(int(i))
}

func (x *keyIndex) mark(i int) {
	x.dropped++
	x.bitmap()[i/64] |= 1 << (i % 64)
}

func (x *keyIndex) bitmap() []uint64 {
	if x.more != nil {
		return x.more
	}
	return x.bits[:]
}

// rest appends what was not dropped to dst, which may be list[:0].
func (x *keyIndex) rest(dst []Attribute) []Attribute {
	bits := x.bitmap()
	for i := range x.list {
		if bits[i/64]>>(i%64)&1 == 0 {
			dst = append(dst, x.list[i])
		}
	}
	return dst
}
