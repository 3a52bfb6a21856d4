package tracing

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleSpans reads a captured answer of Jaeger into spans as raw as they
// came.
func sampleSpans(t testing.TB, name string) []Span {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(name, "api-v3") {
		var answer struct{ Result json.RawMessage }
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
		var req coltracepb.ExportTraceServiceRequest
		if err := unmarshalJSON(answer.Result, &req); err != nil {
			t.Fatal(err)
		}
		spans, rejected := FromOTLP(req.ResourceSpans)
		if len(rejected) > 0 {
			t.Fatalf("rejected: %v", rejected)
		}
		return spans
	}
	return legacySpans(t, text)
}

// legacySpans reads what the tests need of Jaeger's /api/traces.
func legacySpans(t testing.TB, text []byte) []Span {
	t.Helper()
	type tag struct {
		Key   string
		Value any
	}
	var answer struct {
		Data []struct {
			Spans []struct {
				TraceID, SpanID, OperationName, ProcessID string
				References                                []struct{ SpanID string }
				StartTime, Duration                       int64
				Tags                                      []tag
			}
			Processes map[string]struct {
				ServiceName string
				Tags        []tag
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	attributes := func(tags []tag) (list []Attribute) {
		for _, tag := range tags {
			list = append(list, Attribute{Key: tag.Key, Value: fmt.Sprint(tag.Value)})
		}
		return list
	}
	var spans []Span
	for _, trace := range answer.Data {
		for _, in := range trace.Spans {
			s := NewSpan()
			s.TraceID, _ = ParseTraceID(in.TraceID)
			s.SpanID, _ = ParseSpanID(in.SpanID)
			if len(in.References) > 0 {
				s.ParentID, _ = ParseSpanID(in.References[0].SpanID)
			}
			s.Operation, s.Service = in.OperationName, trace.Processes[in.ProcessID].ServiceName
			s.Start, s.Duration = time.UnixMicro(in.StartTime).UTC(), time.Duration(in.Duration)*time.Microsecond
			s.Attributes, s.Resource = attributes(in.Tags), attributes(trace.Processes[in.ProcessID].Tags)
			spans = append(spans, s)
		}
	}
	return spans
}

// describe prints a span for people.
func describe(s *Span) string {
	var b strings.Builder
	line := func(name string, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", name, text)
		}
	}
	fmt.Fprintf(&b, "%s/%s %s (%s side)\n", s.TraceID, s.SpanID, s.Kind, s.Side())
	if !s.ParentID.IsZero() {
		line("parent", "%s", s.ParentID)
	}
	line("service", "%s", s.Service)
	line("destination", "%s", s.Destination())
	line("operation", "%s", s.Operation)
	line("time", "%s + %s", s.Start.Format(time.RFC3339Nano), s.Duration)
	line("request", "%s", strings.TrimSpace(s.Method+" "+s.URL+" "+s.Protocol))
	line("template", "%s", s.URLTemplate)
	line("response", "%d grpc %d flags %q error %t %s", s.StatusCode, s.GRPCStatus, s.ResponseFlags, s.Error, s.StatusMessage)
	line("sizes", "%d %d", s.RequestSize, s.ResponseSize)
	line("user agent", "%s", s.UserAgent)
	line("cluster", "%s", s.UpstreamCluster)
	line("node", "%s", s.Node)
	line("peer", "%s", s.Peer)
	line("request id", "%s", s.RequestID)
	line("workload", "%s", strings.Trim(s.Namespace+"/"+s.Workload+"@"+s.Version, "/@"))
	line("scope", "%s", s.Scope)
	for _, a := range s.Attributes {
		line("attribute", "%s=%q", a.Key, a.Value)
	}
	for _, a := range s.Resource {
		line("resource", "%s=%q", a.Key, a.Value)
	}
	for _, e := range s.Events {
		line("event", "%s %s %v", e.Time.Format(time.RFC3339Nano), e.Name, e.Attributes)
	}
	return b.String()
}

// golden compares got with testdata/name, or writes it under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./tracing -update writes it anew); got:\n%s", path, got)
	}
}

var sampleNames = []string{
	"istio131-opentelemetry.api-traces.json",
	"istio131-opentelemetry.api-v3.json",
	"istio131-zipkin.api-traces.json",
}

func TestNormalizeSamples(t *testing.T) {
	for _, name := range sampleNames {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, s := range sampleSpans(t, name) {
				Normalize(&s)
				b.WriteString(describe(&s) + "\n")
			}
			golden(t, strings.TrimSuffix(name, ".json")+".golden", b.String())
		})
	}
}

// In a mesh each hop has a server's side with a parent on the client's side,
// and every request from a sidecar to its own application is inside it.
func TestSamplesSides(t *testing.T) {
	for _, name := range sampleNames {
		t.Run(name, func(t *testing.T) {
			byID := map[SpanID]Span{}
			spans := sampleSpans(t, name)
			for i := range spans {
				Normalize(&spans[i])
				byID[spans[i].SpanID] = spans[i]
			}
			servers := 0
			for _, s := range spans {
				if s.URL == "" && !strings.HasPrefix(s.Operation, "router ") {
					t.Errorf("%s: no URL", s.Operation)
				}
				if s.StatusCode == 0 || s.Workload == "" || s.Namespace == "" {
					t.Errorf("%s: status %d workload %q namespace %q", s.Operation, s.StatusCode, s.Workload, s.Namespace)
				}
				if s.Side() != SideServer {
					continue
				}
				servers++
				if s.ParentID.IsZero() {
					continue
				}
				client := byID[s.ParentID]
				if client.Side() != SideClient {
					t.Errorf("%s: parent's side is %s", s.Operation, client.Side())
				}
				if client.Destination() != s.Service {
					t.Errorf("client span says it calls %q, the server is %q", client.Destination(), s.Service)
				}
			}
			if want := len(spans) * 3 / 5; servers != want {
				t.Errorf("%d server sides in %d spans, want %d", servers, len(spans), want)
			}
		})
	}
}

func replaceOnce(s, from, to string) string { return strings.Replace(s, from, to, 1) }
