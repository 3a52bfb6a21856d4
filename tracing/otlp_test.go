package tracing

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// randomSpan makes a normalised span with any subset of its fields set.
func randomSpan(r *rand.Rand) Span {
	s := NewSpan()
	pick := func(field *string, values ...string) {
		if r.IntN(2) == 0 {
			*field = values[r.IntN(len(values))]
		}
	}
	for i := range s.TraceID {
		s.TraceID[i] = byte(1 + r.IntN(255))
	}
	s.SpanID[7] = byte(1 + r.IntN(255))
	s.ParentID[0] = byte(r.IntN(2))
	s.Kind = Kind(r.IntN(6))
	s.Start = time.Unix(0, 1+r.Int64N(1<<61)).UTC()
	s.Duration = time.Duration(r.Int64N(1 << 40))
	pick(&s.Service, "web", "http-lb.default", "ü")
	pick(&s.Operation, "GET /", "router egress")
	pick(&s.Method, "GET", "POST", "_OTHER")
	pick(&s.URL, "http://h:80/a/12?x=1", "https://[::1]:8443/", "/only/path", "*", "http://u:p@h/x#f", "h:443", "//x?y")
	pick(&s.URLTemplate, "/a/:id")
	pick(&s.UserAgent, "curl", "")
	pick(&s.Protocol, "HTTP/1.1", "HTTP/2", "HTTP/3", "SPDY", "gRPC", "HTTP", "a/b/c")
	pick(&s.UpstreamCluster, "inbound|80||", "outbound|80||h", "x")
	pick(&s.Node, "sidecar~1~p.ns~d", "host-1")
	pick(&s.Peer, "10.0.0.1", "10.0.0.1:80", "[::1]:80", "::1", "name:http", ":80", "a:080")
	pick(&s.RequestID, "r-1")
	pick(&s.ResponseFlags, "UF", "NR,URX")
	pick(&s.Namespace, "default")
	pick(&s.Workload, "lb")
	pick(&s.Version, "v1")
	pick(&s.Scope, "envoy", "envoy 1.40", "a b c")
	pick(&s.StatusMessage, "bad")
	s.StatusCode, s.GRPCStatus = r.IntN(6)*100, r.IntN(18)-1
	s.RequestSize, s.ResponseSize = int64(r.IntN(3)-1), int64(r.IntN(3)-1)
	s.Error = r.IntN(2) == 0
	s.Attributes, s.Resource = randomAttributes(r), randomAttributes(r)
	if r.IntN(3) == 0 {
		s.Resource = append(s.Resource, Attribute{Key: "host.name", Value: "host-1"},
			Attribute{Key: "k8s.namespace.name", Value: "other"}, Attribute{Key: "service.version", Value: "9"})
	}
	if r.IntN(3) == 0 {
		s.Events = []Event{{Time: s.Start, Name: "e", Attributes: randomAttributes(r)}}
		s.Links = []Link{{TraceID: s.TraceID, SpanID: s.SpanID, Attributes: randomAttributes(r)}}
	}
	Normalize(&s)
	return s
}

func randomAttributes(r *rand.Rand) []Attribute {
	all := []Attribute{
		{Key: "array", Value: `{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"a b"}]}}`, Type: TypeJSON},
		{Key: "bool", Value: "true", Type: TypeBool},
		{Key: "bytes", Value: `{"bytesValue":"AQI="}`, Type: TypeJSON},
		{Key: "float", Value: "1.5", Type: TypeFloat},
		{Key: "int", Value: "-7", Type: TypeInt},
		{Key: "none", Value: "{}", Type: TypeJSON},
		{Key: "otel.dropped_events_count", Value: "3", Type: TypeInt},
		{Key: "string", Value: "x"},
		{Key: "w3c.tracestate", Value: "a=b"},
	}
	var list []Attribute
	for _, a := range all {
		if r.IntN(4) == 0 {
			list = append(list, a)
		}
	}
	return list
}

func TestOTLPRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		want := randomSpan(r)
		wire, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: ToOTLP([]Span{want})})
		if err != nil {
			t.Fatal(err)
		}
		var req coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(wire, &req); err != nil {
			t.Fatal(err)
		}
		for _, rs := range req.ResourceSpans {
			noRepeatedKeys(t, rs.Resource.Attributes)
			noRepeatedKeys(t, rs.ScopeSpans[0].Spans[0].Attributes)
		}
		got, rejected := FromOTLP(req.ResourceSpans)
		if len(rejected) != 0 || len(got) != 1 {
			t.Fatalf("span %d: %d spans, rejected %v", i, len(got), rejected)
		}
		if !reflect.DeepEqual(got[0], want) {
			t.Fatalf("span %d: got\n%+v\nwant\n%+v\nfrom\n%v", i, got[0], want, req.ResourceSpans)
		}
	}
}

func noRepeatedKeys(t *testing.T, list []*commonpb.KeyValue) {
	t.Helper()
	seen := map[string]bool{}
	for _, kv := range list {
		if seen[kv.Key] {
			t.Fatalf("key %q twice in %v", kv.Key, list)
		}
		seen[kv.Key] = true
	}
}

func TestOTLPRoundTripSamples(t *testing.T) {
	for _, name := range sampleNames {
		spans := sampleSpans(t, name)
		for i := range spans {
			Normalize(&spans[i])
		}
		got, rejected := FromOTLP(ToOTLP(spans))
		if len(rejected) != 0 || len(got) != len(spans) {
			t.Fatalf("%s: %d of %d spans, rejected %v", name, len(got), len(spans), rejected)
		}
		byID := map[Identity]Span{}
		for _, s := range got {
			byID[s.Identity()] = s
		}
		for _, s := range spans {
			want := s
			if got := byID[s.Identity()]; describe(&got) != describe(&want) {
				t.Errorf("%s: got\n%swant\n%s", name, describe(&got), describe(&want))
			}
		}
	}
}

func TestFromOTLPRejects(t *testing.T) {
	good := func() *tracepb.Span {
		return &tracepb.Span{TraceId: bytesOf(16), SpanId: bytesOf(8), StartTimeUnixNano: 5, EndTimeUnixNano: 5}
	}
	spans := []*tracepb.Span{good(), nil}
	want := []Rejection{{Service: "web", Reason: ReasonNilSpan, Count: 1}}
	for _, bad := range []struct {
		reason string
		spoil  func(*tracepb.Span)
	}{
		{ReasonNoTraceID, func(s *tracepb.Span) { s.TraceId = make([]byte, 16) }},
		{ReasonBadTraceID, func(s *tracepb.Span) { s.TraceId = bytesOf(15) }},
		{ReasonNoSpanID, func(s *tracepb.Span) { s.SpanId = nil }},
		{ReasonBadSpanID, func(s *tracepb.Span) { s.SpanId = bytesOf(9) }},
		{ReasonBadParentID, func(s *tracepb.Span) { s.ParentSpanId = bytesOf(1) }},
		{ReasonNoStart, func(s *tracepb.Span) { s.StartTimeUnixNano = 0 }},
		{ReasonBadTime, func(s *tracepb.Span) { s.EndTimeUnixNano = 1 << 63 }},
		{ReasonEndBeforeTime, func(s *tracepb.Span) { s.EndTimeUnixNano = 4 }},
	} {
		for range 2 {
			s := good()
			bad.spoil(s)
			spans = append(spans, s)
		}
		want = append(want, Rejection{Service: "web", Reason: bad.reason, Count: 2})
	}
	spans = append(spans, good())
	got, rejected := FromOTLP([]*tracepb.ResourceSpans{nil, {
		Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{Key: "service.name", Value: stringValue("web")}}},
		ScopeSpans: []*tracepb.ScopeSpans{nil, {Spans: spans}},
	}})
	if len(got) != 2 || !slices.Equal(rejected, want) {
		t.Errorf("%d spans, rejected %v; want 2, %v", len(got), rejected, want)
	}
}

func bytesOf(n int) []byte { return slices.Repeat([]byte{1}, n) }

func TestUnmarshalJSON(t *testing.T) {
	const body = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},
	"newField":{"a":[1]},"scopeSpans":[{"spans":[
	{"traceId":"5B8AA5A2D2C872E8321CF37308D69DF2","spanId":"5fb397be34d26b51","parentSpanId":"051581bf3cb55c13",
	 "kind":"SPAN_KIND_SERVER","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712660000000500,
	 "attributes":[{"key":"http.status_code","value":{"intValue":"201"}},{"key":"n","value":{"intValue":7}}],
	 "links":[{"traceId":"5b8aa5a2d2c872e8321cf37308d69df2","spanId":"0000000000000001"}]},
	{"traceId":"5b8aa5a2d2c872e8321cf37308d69df2","spanId":"5fb397be34d26b51","kind":3,
	 "startTimeUnixNano":1,"endTimeUnixNano":2,"status":{"code":2}},
	{"traceId":"not hex!!!==","spanId":"5fb397be34d26b51","startTimeUnixNano":1,"endTimeUnixNano":2}]}]}]}`
	var req coltracepb.ExportTraceServiceRequest
	if err := unmarshalJSON([]byte(body), &req); err == nil {
		t.Error("an id that is no base64 either was accepted")
	}
	req.Reset()
	if err := unmarshalJSON([]byte(replaceOnce(body, "not hex!!!==", "W4qlotLIcugyHPNzCNad8g==")), &req); err != nil {
		t.Fatal(err)
	}
	spans, rejected := FromOTLP(req.ResourceSpans)
	if len(spans) != 2 || len(rejected) != 1 || rejected[0] != (Rejection{"web", ReasonBadTraceID, 1}) {
		t.Fatalf("%d spans, rejected %v", len(spans), rejected)
	}
	s := spans[0]
	if got := fmt.Sprint(s.TraceID, s.SpanID, s.ParentID, s.Kind, s.StatusCode, s.Duration, s.Links[0].SpanID); got !=
		"5b8aa5a2d2c872e8321cf37308d69df2 5fb397be34d26b51 051581bf3cb55c13 server 201 500ns 0000000000000001" {
		t.Error(got)
	}
	if !spans[1].Error || spans[1].Kind != KindClient {
		t.Errorf("%+v", spans[1])
	}
}

func BenchmarkFromOTLP(b *testing.B) {
	req := ToOTLP(sampleSpans(b, sampleNames[1]))
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		spans, _ := FromOTLP(req)
		n += len(spans)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/span")
}
