package testutil

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// traceID makes a trace id that has no leading zeros, which Jaeger's first
// generation would leave out.
func traceID(trace byte) string { return fmt.Sprintf("f%031x", trace) }

// sendOTLP sends n spans of one trace to Jaeger, as OTLP in JSON.
func sendOTLP(t *testing.T, s *JaegerServer, service string, trace byte, n int) {
	t.Helper()
	now := time.Now().UnixNano()
	var spans []object
	for i := range n {
		spans = append(spans, object{
			"traceId": traceID(trace), "spanId": fmt.Sprintf("%016x", i+1),
			"name": fmt.Sprintf("op-%d", i), "kind": 2,
			"startTimeUnixNano": fmt.Sprint(now), "endTimeUnixNano": fmt.Sprint(now + 1000),
			"attributes": []object{{"key": "n", "value": object{"intValue": fmt.Sprint(i)}}},
		})
	}
	body, err := json.Marshal(object{"resourceSpans": []object{{
		"resource": object{"attributes": []object{
			{"key": "service.name", "value": object{"stringValue": service}},
		}},
		"scopeSpans": []object{{"spans": spans}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	post(t, s.OTLPHTTP+"/v1/traces", body)
}

// sendZipkin sends one span to Jaeger in Zipkin's JSON.
func sendZipkin(t *testing.T, s *JaegerServer, service string) {
	t.Helper()
	body, err := json.Marshal([]object{{
		"traceId": "00000000000000aa", "id": "00000000000000bb", "name": "zip", "kind": "SERVER",
		"timestamp": time.Now().UnixMicro(), "duration": 5,
		"localEndpoint": object{"serviceName": service},
	}})
	if err != nil {
		t.Fatal(err)
	}
	post(t, s.Zipkin+"/api/v2/spans", body)
}

func post(t *testing.T, url string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s: %s", url, resp.Status)
	}
}

// waitSpans waits until Jaeger holds n spans.
func waitSpans(t *testing.T, s *JaegerServer, n int) []JaegerSpan {
	t.Helper()
	var spans []JaegerSpan
	Eventually(t, 20*time.Second, func() (bool, string) {
		var err error
		spans, err = s.Spans(context.Background())
		return err == nil && len(spans) == n, fmt.Sprintf("%d spans of %d, %v", len(spans), n, err)
	})
	return spans
}

func TestJaegerInMemory(t *testing.T) {
	for _, version := range JaegerVersions() {
		t.Run(version.String(), func(t *testing.T) {
			s := Jaeger(t, JaegerOptions{Version: version})
			sendOTLP(t, s, "alpha", 1, 3)
			sendZipkin(t, s, "beta")
			spans := waitSpans(t, s, 4)
			if spans[0].Service != "alpha" || spans[0].Kind() != "server" || spans[0].Tags["n"] == "" {
				t.Errorf("first span is %+v", spans[0])
			}
			services, err := s.Services(t.Context())
			if err != nil || len(services) != 2 {
				t.Errorf("services %q, %v, want alpha and beta", services, err)
			}
			grpc := s.QueryGRPC
			s.Restart()
			if s.QueryGRPC != grpc {
				t.Errorf("restarted at %s, want %s", s.QueryGRPC, grpc)
			}
			waitSpans(t, s, 0)
			sendOTLP(t, s, "alpha", 2, 1)
			waitSpans(t, s, 1)
			s.Kill()
			if _, err := s.Services(t.Context()); err == nil {
				t.Error("a killed Jaeger answers")
			}
		})
	}
}

func TestJaegerOnDisk(t *testing.T) {
	for _, version := range JaegerVersions() {
		t.Run(version.String(), func(t *testing.T) {
			dir := t.TempDir()
			s := Jaeger(t, JaegerOptions{Version: version, BadgerDir: dir})
			sendOTLP(t, s, "alpha", 1, 5)
			waitSpans(t, s, 5)
			s.Stop()
			// As Badger leaves it at times.
			if err := os.WriteFile(filepath.Join(dir, "keys", "00001.mem"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s.Restart()
			waitSpans(t, s, 5)
			sendOTLP(t, s, "alpha", 2, 2)
			waitSpans(t, s, 7)
		})
	}
}

func TestJaegerMaxTraces(t *testing.T) {
	for _, version := range JaegerVersions() {
		t.Run(version.String(), func(t *testing.T) {
			s := Jaeger(t, JaegerOptions{Version: version, MaxTraces: 2})
			for trace := range byte(4) {
				sendOTLP(t, s, "alpha", trace, 1)
				Eventually(t, 20*time.Second, func() (bool, string) {
					spans, err := s.Spans(context.Background())
					id := traceID(trace)
					for _, span := range spans {
						if span.TraceID == id {
							return true, ""
						}
					}
					return false, fmt.Sprintf("no trace %s in %v, %v", id, spans, err)
				})
			}
			waitSpans(t, s, 2)
		})
	}
}
