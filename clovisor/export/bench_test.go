package export_test

import (
	"io"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/tracing"
)

func BenchmarkSpan(b *testing.B) {
	s := get()
	b.ReportAllocs()
	for b.Loop() {
		export.Span(s, pod)
	}
}

// BenchmarkOTLP is what a span costs until it is on the wire, in batches as
// tracing.Exporter makes them, and by way of OTLP's messages; Span is in it.
func BenchmarkOTLP(b *testing.B) {
	var encoder tracing.OTLPEncoder
	for name, encode := range map[string]func([]tracing.Span) error{
		"encoder": func(batch []tracing.Span) error {
			encoder.Encode(batch)
			return nil
		},
		"messages": func(batch []tracing.Span) error {
			_, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: tracing.ToOTLP(batch)})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, spans := get(), export.Spans{}
			batch := make([]tracing.Span, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				if batch = append(batch, spans.Span(s, pod)); len(batch) < cap(batch) {
					continue
				}
				if err := encode(batch); err != nil {
					b.Fatal(err)
				}
				batch = batch[:0]
			}
		})
	}
}

func BenchmarkLines(b *testing.B) {
	for _, f := range []export.Format{export.Text, export.JSON} {
		b.Run(string(f), func(b *testing.B) {
			s, lines := get(), export.NewLines(io.Discard, export.LineOptions{Format: f})
			b.ReportAllocs()
			for b.Loop() {
				if err := lines.Write(s, pod); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestSpans holds that spans made with what places have in common are those
// that are made alone.
func TestSpans(t *testing.T) {
	s, spans := get(), export.Spans{}
	other := pod
	other.Pod = "web-2"
	for _, p := range []export.Place{pod, other, {}, pod, other} {
		if got, want := spans.Span(s, p), export.Span(s, p); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v:\ngot  %+v\nwant %+v", p, got, want)
		}
	}
}
