package tracing

import (
	"math/rand/v2"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// checkEncoder compares with what protobuf makes of ToOTLP's messages.
func checkEncoder(t *testing.T, e *OTLPEncoder, spans []Span) {
	t.Helper()
	want := &coltracepb.ExportTraceServiceRequest{ResourceSpans: ToOTLP(spans)}
	wire, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got coltracepb.ExportTraceServiceRequest
	direct := e.Encode(spans)
	if err := proto.Unmarshal(direct, &got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, want) {
		t.Fatalf("got\n%v\nwant\n%v", &got, want)
	}
	if len(direct) != len(wire) {
		t.Errorf("%d bytes, protobuf needs %d", len(direct), len(wire))
	}
}

func TestOTLPEncoder(t *testing.T) {
	var e OTLPEncoder
	checkEncoder(t, &e, nil)
	checkEncoder(t, &e, []Span{{}, NewSpan()})
	for _, name := range sampleNames {
		spans := sampleSpans(t, name)
		checkEncoder(t, &e, spans)
		for i := range spans {
			Normalize(&spans[i])
		}
		checkEncoder(t, &e, spans)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		checkEncoder(t, &e, randomBatch(r, r.IntN(40), "\xff text"))
	}
}

// A message whose length takes more or fewer bytes than expected.
func TestOTLPEncoderLengths(t *testing.T) {
	for _, n := range []int{0, 1, 100, 127, 128, 129, 16_000, 16_383, 16_384, 1 << 21, 1 << 22} {
		var e OTLPEncoder
		long := string(make([]byte, n))
		s := testSpan(1)
		s.Operation, s.Service, s.Scope, s.StatusMessage = long, long, long, long
		s.Attributes = []Attribute{{Key: long, Value: long}, {Key: "after", Value: "x"}}
		s.Events = []Event{{Name: long}}
		s.Links = []Link{{Attributes: s.Attributes}}
		checkEncoder(t, &e, []Span{s, testSpan(2)})
	}
}

// Keys of groups are forgotten before they take much memory.
func TestOTLPEncoderForgetsGroups(t *testing.T) {
	var e OTLPEncoder
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 40 {
		s := testSpan(i)
		s.Service = string(make([]byte, maxKeyBytes/8)) + string(rune('a'+r.IntN(26)))
		checkEncoder(t, &e, []Span{s, testSpan(i), s})
		if e.keyBytes > 2*maxKeyBytes {
			t.Fatalf("%d bytes of keys", e.keyBytes)
		}
	}
}

func TestOTLPEncoderAllocates(t *testing.T) {
	var e OTLPEncoder
	s := testSpan(1)
	s.Method, s.URL, s.URLTemplate, s.Protocol, s.StatusCode = "GET", "http://h:80/a/b?c=d", "/a/b", "HTTP/1.1", 200
	s.Peer, s.Node, s.StatusMessage, s.Scope = "10.0.0.1:80", "host-1", "bad", "clovisor 1"
	s.Resource = []Attribute{{Key: "host.name", Value: "host-1"}}
	s.Attributes = []Attribute{{Key: "a", Value: "b"}, {Key: "n", Value: "7", Type: TypeInt}, {Key: "f", Value: "1.5", Type: TypeFloat}}
	s.Events = []Event{{Time: s.Start, Name: "e", Attributes: s.Attributes}}
	s.Links = []Link{{TraceID: s.TraceID, SpanID: s.SpanID}}
	batch := []Span{s, testSpan(2), s}
	if n := testing.AllocsPerRun(100, func() { e.Encode(batch) }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// randomBatch makes spans, normalised or not, of a few resources and scopes,
// with text anywhere.
func randomBatch(r *rand.Rand, n int, text string) []Span {
	spans := make([]Span, 0, n)
	for range n {
		s := randomSpan(r)
		for _, field := range []*string{
			&s.Service, &s.Operation, &s.URL, &s.URLTemplate, &s.Peer, &s.Protocol, &s.Scope, &s.StatusMessage, &s.Version, &s.Node,
		} {
			if r.IntN(8) == 0 {
				*field = text
			}
		}
		if len(spans) > 0 && r.IntN(2) == 0 {
			before := &spans[r.IntN(len(spans))]
			s.Service, s.Version, s.Namespace, s.Resource = before.Service, before.Version, before.Namespace, before.Resource
		}
		for _, key := range []string{"service.name", "otel.status_code", "otel.dropped_links_count", "w3c.tracestate", "http.route", text} {
			if r.IntN(6) == 0 {
				a := Attribute{Key: key, Value: text, Type: ValueType(r.IntN(7))}
				if r.IntN(2) == 0 {
					a.Value = []string{"OK", "3", "true", "1e9", `{"kvlistValue":{}}`}[r.IntN(5)]
				}
				s.Attributes = append(s.Attributes, a)
			}
		}
		if r.IntN(8) == 0 {
			s.Start = time.Time{}
		}
		spans = append(spans, s)
	}
	return spans
}

func FuzzOTLPEncoder(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint8(3), "text")
	f.Add(uint64(3), uint64(4), uint8(40), `{"stringValue":"\u0000"}`)
	f.Add(uint64(5), uint64(6), uint8(1), "http://[::1]:80/\xff?a b#c")
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64, n uint8, text string) {
		var e OTLPEncoder
		r := rand.New(rand.NewPCG(seed1, seed2))
		for range 2 {
			checkEncoder(t, &e, randomBatch(r, int(n%50), text))
		}
	})
}

// BenchmarkOTLPEncoder encodes spans of a mesh, beside protobuf and ToOTLP.
func BenchmarkOTLPEncoder(b *testing.B) {
	sample := sampleSpans(b, sampleNames[0])
	var spans []Span
	for len(spans) < 512 {
		spans = append(spans, sample...)
	}
	spans = spans[:512]
	for i := range spans {
		Normalize(&spans[i])
	}
	var e OTLPEncoder
	for _, way := range []struct {
		name   string
		encode func() error
	}{
		{"encoder", func() error { e.Encode(spans); return nil }},
		{"messages", func() error {
			_, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: ToOTLP(spans)})
			return err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := way.encode(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/span")
		})
	}
}
