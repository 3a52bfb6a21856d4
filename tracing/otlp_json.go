package tracing

import (
	"encoding/base64"
	"encoding/hex"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// unmarshalJSON reads OTLP's JSON (OTLP specification 1.x, "JSON Protobuf
// Encoding"). It is protobuf's JSON mapping but for the ids, which are
// hexadecimal: protojson takes their digits for base64, of which they are a
// subset, so writing the bytes back as base64 gives the digits that were
// sent.
func unmarshalJSON(body []byte, req *coltracepb.ExportTraceServiceRequest) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, req); err != nil {
		return err
	}
	for _, r := range req.ResourceSpans {
		for _, scope := range r.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				hexIDs(span)
			}
		}
	}
	return nil
}

func hexIDs(span *tracepb.Span) {
	if span == nil {
		return
	}
	span.TraceId = hexID(span.TraceId)
	span.SpanId = hexID(span.SpanId)
	span.ParentSpanId = hexID(span.ParentSpanId)
	for _, link := range span.Links {
		if link != nil {
			link.TraceId, link.SpanId = hexID(link.TraceId), hexID(link.SpanId)
		}
	}
}

// hexID turns the bytes that protojson made of hexadecimal digits into those
// that the digits mean. Anything else is left as a single byte, which no id
// is: the span is then rejected for it.
func hexID(id []byte) []byte {
	if len(id) == 0 {
		return nil
	}
	digits := base64.RawStdEncoding.EncodeToString(id)
	out, err := hex.DecodeString(digits)
	if err != nil {
		return []byte{0xff}
	}
	return out
}
