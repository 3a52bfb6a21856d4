package tracing

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// Normalize brings a span whose raw attributes are in Attributes and Resource
// into the one model, whichever dialect it came in: Envoy's Zipkin and
// OpenTelemetry tracers, Jaeger's JSON, OTLP; OpenTelemetry's semantic
// conventions, current and older. Numbers may be strings.
//
// A field that is already set stays. Where several attributes name one field,
// the current semantic convention goes before the older names and Envoy's. An
// attribute is taken out of its list when a field holds its value; one that
// contradicts the field, or that no field covers, is kept. Both lists end up
// sorted by key. A negative duration becomes zero.
//
// What is not said is derived: the kind from the upstream cluster, the URL
// from its parts, the URL's template from its path, Node from the host's or
// pod's name, Namespace from Envoy's node id, Error from status codes.
//
// Attributes is changed in place; Resource, which spans may share, is
// replaced. Normalising twice is the same as once.
func Normalize(s *Span) {
	var n normalizer
	n.normalize(s)
}

// normalizer holds the working state of Normalize. Reused for the spans of
// one resource, it does the resource's share of the work once.
type normalizer struct {
	s     *Span
	attrs keyIndex
	res   keyIndex

	rawResource  []Attribute // what res was scanned from, for reuse
	resIndex     keyIndex    // the scan of rawResource before any drop
	restBits     [4]uint64   // the drops that gave restResource
	restResource []Attribute
}

func (n *normalizer) normalize(s *Span) {
	n.s = s
	if s.Duration < 0 {
		s.Duration = 0
	}
	for {
		n.attrs.scan(s.Attributes)
		n.scanResource(s.Resource)
		n.fields()
		dropped := n.attrs.dropped + n.res.dropped
		repeated := n.attrs.repeated || n.res.repeated
		n.finishAttributes()
		n.finishResource()
		// A repeated key is looked at once a round.
		if !repeated || dropped == 0 {
			return
		}
	}
}

func (n *normalizer) fields() {
	s := n.s
	n.text(&s.UpstreamCluster, cleanCluster, keyUpstreamCluster, keyUpstreamClusterName)
	n.kind()
	n.text(&s.Service, nil, keyServiceName)
	n.text(&s.Method, nil, keyRequestMethod, keyHTTPMethod)
	n.number(&s.StatusCode, 0, parseStatus, keyResponseStatus, keyHTTPStatus)
	n.number(&s.GRPCStatus, -1, parseGRPCStatus, keyRPCGRPCStatus, keyRPCResponseStatus, keyGRPCStatus)
	n.text(&s.UserAgent, nil, keyUserAgentOriginal, keyUserAgent, keyHTTPUserAgent)
	n.size(&s.RequestSize, keyRequestBodySize, keyRequestContentLength, keyRequestSize)
	n.size(&s.ResponseSize, keyResponseBodySize, keyResponseContentLength, keyResponseSize)
	n.url()
	n.protocol()
	n.peer()
	n.text(&s.ResponseFlags, cleanDash, keyResponseFlags)
	n.text(&s.RequestID, nil, keyRequestID)
	n.text(&s.Version, nil, keyCanonicalRevision, keyServiceVersion)
	n.text(&s.Workload, nil, keyCanonicalService)
	n.fallback(&s.Workload, keyDeployment, keyStatefulSet, keyDaemonSet)
	n.text(&s.Node, nil, keyNodeID)
	n.fallback(&s.Node, keyHostName, keyHostname, keyPodName)
	n.text(&s.Namespace, nil, keyIstioNamespace, keyK8sNamespace)
	n.fallback(&s.Namespace, keyServiceNamespace)
	if s.Namespace == "" {
		s.Namespace = nodeNamespace(s.Node)
	}
	n.scope(keyScopeName, keyScopeVersion)
	n.scope(keyLibraryName, keyLibraryVersion)
	n.status()
}

// lists returns the places to look for attributes: the span's go first.
func (n *normalizer) lists() [2]*keyIndex { return [2]*keyIndex{&n.attrs, &n.res} }

// text fills a field from the first of keys that has a value, and drops each
// that says the same.
func (n *normalizer) text(field *string, clean func(string) string, keys ...key) {
	for _, k := range keys {
		for _, list := range n.lists() {
			v, ok := list.value(k)
			if !ok {
				continue
			}
			if clean != nil {
				v = clean(v)
			}
			if *field == "" {
				*field = v
			}
			if *field == v {
				list.drop(k)
			}
		}
	}
}

// number is text for a number that unset stands for unknown in.
func (n *normalizer) number(field *int, unset int, parse func(string) (int, bool), keys ...key) {
	for _, k := range keys {
		for _, list := range n.lists() {
			text, ok := list.value(k)
			if !ok {
				continue
			}
			v, ok := parse(text)
			if !ok {
				continue
			}
			if *field == unset {
				*field = v
			}
			if *field == v {
				list.drop(k)
			}
		}
	}
}

func (n *normalizer) size(field *int64, keys ...key) {
	v := int(*field)
	n.number(&v, -1, parseSize, keys...)
	*field = int64(v)
}

// fallback fills a field from attributes that mean something else and
// therefore stay.
func (n *normalizer) fallback(field *string, keys ...key) {
	for _, k := range keys {
		for _, list := range n.lists() {
			if *field != "" {
				return
			}
			*field, _ = list.value(k)
		}
	}
}

// kind reads span.kind, or else takes a span that names an upstream cluster
// for a proxy's: the server's side of its hop if the cluster is its own
// application, else the client's.
func (n *normalizer) kind() {
	s := n.s
	for _, list := range n.lists() {
		name, ok := list.value(keySpanKind)
		if !ok {
			continue
		}
		kind := ParseKind(name)
		if kind == KindUnspecified && name != "" && !strings.EqualFold(name, "unspecified") {
			continue
		}
		if s.Kind == KindUnspecified {
			s.Kind = kind
		}
		if s.Kind == kind {
			list.drop(keySpanKind)
		}
	}
	if s.Kind == KindUnspecified && s.UpstreamCluster != "" {
		s.Kind = KindClient
		if IsInbound(s.UpstreamCluster) {
			s.Kind = KindServer
		}
	}
}

// status reads and derives Error. otel.status_code "OK" stays: that a status
// was set on purpose is more than no error.
func (n *normalizer) status() {
	s := n.s
	n.text(&s.StatusMessage, nil, keyStatusDescription)
	for _, list := range n.lists() {
		if v, ok := list.value(keyStatusCode); ok {
			isError := strings.EqualFold(v, "ERROR")
			s.Error = s.Error || isError
			if isError || strings.EqualFold(v, "UNSET") {
				list.drop(keyStatusCode)
			}
		}
		if v, ok := list.value(keyError); ok && v != "" && !strings.EqualFold(v, "false") {
			s.Error = true
		}
	}
	s.Error = s.Error || s.StatusCode >= 500 || isServerFault(s.GRPCStatus)
	for _, list := range n.lists() {
		v, _ := list.value(keyError)
		if strings.EqualFold(v, strconv.FormatBool(s.Error)) {
			list.drop(keyError)
		}
	}
}

// isServerFault follows the semantic conventions for gRPC servers: these
// codes, and no others, are the server's error.
func isServerFault(grpcStatus int) bool {
	if grpcStatus < 0 {
		return false
	}
	switch codes.Code(grpcStatus) {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented,
		codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}

func (n *normalizer) scope(name, version key) {
	for _, list := range n.lists() {
		scope, ok := list.value(name)
		if !ok || scope == "" {
			continue
		}
		v, _ := list.value(version)
		if n.s.Scope == "" {
			n.s.Scope = joinScope(scope, v)
		}
		if n.s.Scope == scope && v == "" || v != "" && n.s.Scope == joinScope(scope, v) {
			list.drop(name)
			list.drop(version)
		}
	}
}

// peer reads the other end's address. Only for a client is Envoy's upstream
// the peer.
func (n *normalizer) peer() {
	n.endpoint(keyPeerAddr, keyPeerPort)
	n.text(&n.s.Peer, nil, keyPeerAddress)
	if n.s.Kind == KindClient {
		n.text(&n.s.Peer, nil, keyUpstreamAddress)
	}
	n.endpoint(keySockPeerAddr, keySockPeerPort)
	n.endpoint(keyNetPeerIP, keyNetPeerPort)
}

func (n *normalizer) endpoint(addr, port key) {
	for _, list := range n.lists() {
		v, ok := list.value(addr)
		if !ok || v == "" {
			continue
		}
		if p, _ := list.value(port); p != "" {
			v = net.JoinHostPort(v, p)
		}
		if n.s.Peer == "" {
			n.s.Peer = v
		}
		if n.s.Peer == v {
			list.drop(addr)
			list.drop(port)
		}
	}
}

// scanResource scans the resource, or takes the last scan if the resource is
// the same as the last span's.
func (n *normalizer) scanResource(list []Attribute) {
	same := len(list) == len(n.rawResource) && len(list) > 0 && &list[0] == &n.rawResource[0]
	if !same {
		n.resIndex.scan(list)
		n.rawResource, n.restResource = list, nil
	}
	n.res = n.resIndex
	if n.res.more != nil {
		n.res.more = slices.Clone(n.res.more)
	}
}

func (n *normalizer) finishAttributes() {
	x := &n.attrs
	if x.dropped > 0 {
		kept := x.rest(x.list[:0])
		clear(x.list[len(kept):])
		n.s.Attributes = kept
	}
	if len(n.s.Attributes) == 0 {
		n.s.Attributes = nil
	}
	if !x.sorted {
		sortAttributes(n.s.Attributes)
	}
}

func (n *normalizer) finishResource() {
	x := &n.res
	if x.dropped == 0 && x.sorted {
		return
	}
	reusable := x.more == nil
	if reusable && n.restResource != nil && x.bits == n.restBits {
		n.s.Resource = n.restResource
		return
	}
	var kept []Attribute
	if size := len(x.list) - x.dropped; size > 0 {
		kept = x.rest(make([]Attribute, 0, size))
	}
	sortAttributes(kept)
	n.s.Resource = kept
	if reusable {
		n.restBits, n.restResource = x.bits, kept
	}
}

func sortAttributes(list []Attribute) {
	slices.SortStableFunc(list, func(a, b Attribute) int { return cmp.Compare(a.Key, b.Key) })
}
