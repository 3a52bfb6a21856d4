package tracing

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func decodeWith(text string, decode func(*json.Decoder, *jaegerAnswer) error) (*jaegerAnswer, error) {
	var answer jaegerAnswer
	err := decode(json.NewDecoder(strings.NewReader(text)), &answer)
	return &answer, err
}

// TestJaegerDecodesSamples reads the answers of a real mesh's Jaeger.
func TestJaegerDecodesSamples(t *testing.T) {
	for name, decode := range map[string]func(*json.Decoder, *jaegerAnswer) error{
		"istio131-opentelemetry.api-traces.json": decodeLegacyTraces,
		"istio131-zipkin.api-traces.json":        decodeLegacyTraces,
		"istio131-opentelemetry.api-v3.json":     decodeV3Traces,
	} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := decodeWith(string(text), decode)
		if err != nil || len(answer.rejected) > 0 {
			t.Fatalf("%s: %v, rejected %v", name, err, answer.rejected)
		}
		want := sampleSpans(t, name)
		if len(want) == 0 || len(answer.spans) != len(want) {
			t.Fatalf("%s: %d spans, want %d", name, len(answer.spans), len(want))
		}
		ids := map[TraceID]bool{}
		for i := range want {
			Normalize(&want[i])
			got := answer.spans[i]
			ids[got.TraceID] = true
			want[i].Events, got.Events = nil, nil // sampleSpans leaves them out
			if describe(&got) != describe(&want[i]) {
				t.Fatalf("%s: got\n%swant\n%s", name, describe(&got), describe(&want[i]))
			}
		}
		if len(answer.traces) != len(ids) {
			t.Errorf("%s: %d traces, want %d", name, len(answer.traces), len(ids))
		}
	}
}

const legacyOdd = `{"total":0,"data":[{"traceID":"ab","processes":{"p1":{"serviceName":"shop","tags":[{"key":"zone","type":"string","value":"b"},{"key":"host","type":"string","value":"h"}]}},
"spans":[{"traceID":"ab","spanID":"1","flags":1,"operationName":"odd","startTime":1795468080078956,"duration":12,"processID":"p1","warnings":null,
"references":[{"refType":"FOLLOWS_FROM","traceID":"ab","spanID":"7"},{"refType":"CHILD_OF","traceID":"cd","spanID":"8"},{"refType":"CHILD_OF","traceID":"ab","spanID":"9"}],
"tags":[{"key":"i","type":"int64","value":-5},{"key":"big","type":"int64","value":"9007199254740995"},{"key":"f","type":"float64","value":1e3},{"key":"b","type":"bool","value":false},
{"key":"bin","type":"binary","value":"aGk="},{"key":"s","type":"string","value":"tab\t\u00e4"},{"key":"old","value":3.5},{"key":"none","type":"string","value":null},{"key":"span.kind","type":"string","value":"consumer"}],
"logs":[{"timestamp":1795468080078960,"fields":[{"key":"n","type":"int64","value":1},{"key":"event","type":"string","value":"done"}]}]}]}],"errors":null}`

func TestJaegerDecodesLegacyOddities(t *testing.T) {
	answer, err := decodeWith(legacyOdd, decodeLegacyTraces)
	if err != nil || len(answer.spans) != 1 {
		t.Fatalf("%+v, %v", answer, err)
	}
	want := NewSpan()
	want.TraceID, want.SpanID, want.ParentID, want.Kind = TraceID{15: 0xab}, SpanID{7: 1}, SpanID{7: 9}, KindConsumer
	want.Service, want.Operation = "shop", "odd"
	want.Start, want.Duration = time.UnixMicro(1795468080078956).UTC(), 12*time.Microsecond
	want.Resource = []Attribute{{Key: "host", Value: "h"}, {Key: "zone", Value: "b"}}
	want.Attributes = []Attribute{
		{"b", "false", TypeBool}, {"big", "9007199254740995", TypeInt}, {"bin", `{"bytesValue":"aGk="}`, TypeJSON},
		{"f", "1000", TypeFloat}, {"i", "-5", TypeInt}, {"none", "", TypeString}, {"old", "3.5", TypeFloat}, {"s", "tab\tä", TypeString},
	}
	want.Events = []Event{{Time: time.UnixMicro(1795468080078960).UTC(), Name: "done", Attributes: []Attribute{{"n", "1", TypeInt}}}}
	want.Links = []Link{
		{TraceID: want.TraceID, SpanID: SpanID{7: 7}, Attributes: []Attribute{{Key: "opentracing.ref_type", Value: "follows_from"}}},
		{TraceID: TraceID{15: 0xcd}, SpanID: SpanID{7: 8}, Attributes: []Attribute{{Key: "opentracing.ref_type", Value: "child_of"}}},
	}
	if !reflect.DeepEqual(answer.spans[0], want) {
		t.Errorf("got\n%+v\nwant\n%+v", answer.spans[0], want)
	}
}

func TestJaegerLegacyRejects(t *testing.T) {
	span := func(fields string) string {
		return `{"data":[{"traceID":"ab","spans":[{"processID":"p",` + fields + `}],"processes":{"p":{"serviceName":"shop"}}}]}`
	}
	for fields, reason := range map[string]string{
		`"traceID":"xy","spanID":"1","startTime":1`:                                                      ReasonBadTraceID,
		`"traceID":"0","spanID":"1","startTime":1`:                                                       ReasonNoTraceID,
		`"traceID":"ab","spanID":"","startTime":1`:                                                       ReasonBadSpanID,
		`"traceID":"ab","spanID":"0","startTime":1`:                                                      ReasonNoSpanID,
		`"traceID":"ab","spanID":"1"`:                                                                    ReasonNoStart,
		`"traceID":"ab","spanID":"1","startTime":18446744073709551615`:                                   ReasonBadTime,
		`"traceID":"ab","spanID":"1","startTime":9223372036854775,"duration":9223372036854775`:           ReasonBadTime,
		`"traceID":"ab","spanID":"1","startTime":1,"duration":18446744073709551615`:                      ReasonEndBeforeTime,
		`"traceID":"ab","spanID":"1","startTime":1,"references":[{"refType":"CHILD_OF","traceID":"ab"}]`: ReasonBadParentID,
	} {
		answer, err := decodeWith(span(fields), decodeLegacyTraces)
		want := []Rejection{{Service: "shop", Reason: reason, Count: 1}}
		if err != nil || !slices.Equal(answer.rejected, want) || len(answer.spans) > 0 {
			t.Errorf("%s: %v, %v", fields, answer.rejected, err)
		}
		if len(answer.traces) == 0 {
			t.Errorf("%s: the trace does not count, so that a full page may not look so", fields)
		}
	}
}

const v3Span = `{"traceId":"000000000000000000000000000000ab","spanId":"000000000000000%s","startTimeUnixNano":"5","endTimeUnixNano":"6","unknown":[{}]}`

func v3Chunk(digit string) string {
	return `{"result":{"more":{"x":[1,{"y":null}]},"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Replace(v3Span, "%s", digit, 1) + `]}]}]}}`
}

func TestJaegerDecodesV3Chunks(t *testing.T) {
	answer, err := decodeWith(v3Chunk("1")+"\n"+v3Chunk("2")+"\n", decodeV3Traces)
	if err != nil || len(answer.spans) != 2 || len(answer.traces) != 1 {
		t.Errorf("%+v, %v", answer, err)
	}
	for text, want := range map[string]error{
		v3Chunk("1") + `{"error":{"httpCode":500,"message":"disk is on fire"}}`: ErrTemporary,
		v3Chunk("1") + `{"error":{"httpCode":400,"message":"no"}}`:              ErrInvalid,
		v3Chunk("1")[:200]:                io.ErrUnexpectedEOF,
		v3Chunk("1") + `x`:                nil, // a syntax error
		`{"result":[]}`:                   errShape,
		`{"result":{"resourceSpans":{}}}`: errShape,
		`{"result":{"resourceSpans":[{"scopeSpans":"many"}]}}`: errShape,
		``: io.ErrUnexpectedEOF,
	} {
		answer, err := decodeWith(text, decodeV3Traces)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", text, answer.spans, err)
		}
	}
	for _, empty := range []string{`{}`, `{"result":{}}`, `{"result":{"resourceSpans":null}}`, "null"} {
		if answer, err := decodeWith(empty, decodeV3Traces); err != nil || len(answer.spans) > 0 {
			t.Errorf("%s: %v", empty, err)
		}
	}
}

func FuzzJaegerDecode(f *testing.F) {
	for _, text := range []string{legacyOdd, v3Chunk("1"), `{"data":null,"errors":[{"code":1,"msg":"x"}]}`, "[", `{"data":[{"spans":[{"tags":[{"value":{}}]}]}]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, decode := range []func(*json.Decoder, *jaegerAnswer) error{decodeLegacyTraces, decodeV3Traces} {
			answer, err := decodeWith(text, decode)
			if err == nil && !json.Valid([]byte(text)) && strings.Count(text, "\n") == 0 && !strings.Contains(text, "}") {
				t.Errorf("accepted %q", text)
			}
			for i := range answer.spans {
				s := &answer.spans[i]
				if s.TraceID.IsZero() || s.SpanID.IsZero() || s.Duration < 0 || s.Start.UnixNano() < 0 || s.End().Before(s.Start) {
					t.Errorf("invalid span from %q:\n%s", text, describe(s))
				}
				if len(answer.traces) == 0 {
					t.Errorf("spans without a trace from %q", text)
				}
			}
		}
	})
}
