package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var (
	restLine        = regexp.MustCompile(`REST (https?://\S+),`)
	collectingFalse = regexp.MustCompile(`"collecting":\s*false`) // protojson varies its spaces
)

// startController runs the program until the test ends and returns its REST
// address and what it logs.
func startController(t *testing.T, collector string, more ...string) (rest string, stderr *testutil.Output) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stdout testutil.Output
	stderr = &testutil.Output{}
	done := make(chan error, 1)
	args := append([]string{"--rest-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--collector", collector}, more...)
	go func() { done <- run(ctx, args, &stdout, stderr) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		if m := restLine.FindStringSubmatch(stdout.String()); m != nil {
			rest = m[1]
		}
		return rest != "", stdout.String() + stderr.String()
	})
	return rest, stderr
}

// startCollector runs what clover-collector runs, until stop or the end of
// the test.
func startCollector(t *testing.T, dir, addr string, api server.Options) (at node.Addrs, stop func()) {
	t.Helper()
	ready := make(chan node.Addrs, 1)
	n, err := node.New(node.Options{
		DataDir: dir, GRPCAddr: addr, RESTAddr: "-", OTLPGRPC: "-", OTLPHTTP: "127.0.0.1:0", API: api,
		OnReady: func(a node.Addrs) { ready <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	select {
	case at = <-ready:
	case <-time.After(2 * time.Minute):
		t.Fatal("the collector is not ready")
	}
	return at, stop
}

// ask asks REST and returns the status and the answer.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// same compares JSON, whose spaces protojson varies.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// TestWithoutACollectorItSaysSo starts a controller whose collector is not
// there.
func TestWithoutACollectorItSaysSo(t *testing.T) {
	addr := testutil.FreeAddr(t)
	rest, _ := startController(t, addr)
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable,
		"/api/v1/visibility/stats": http.StatusServiceUnavailable,
		"/":                        http.StatusOK, // the dashboard, which says it itself
	} {
		code, text := ask(t, http.MethodGet, rest+path, "")
		if code != want {
			t.Errorf("%s: %d %s, want %d", path, code, text, want)
		}
		if path == "/" || path == "/healthz" {
			continue
		}
		if !strings.Contains(text, "clover-collector does not answer at "+addr) || !strings.Contains(text, "--collector") || strings.Contains(text, "desc =") {
			t.Errorf("%s: %s does not say what is not there and what to do", path, text)
		}
	}
	code, text := ask(t, http.MethodGet, rest+"/api/v1/visibility/spans", "")
	if !strings.Contains(text, "clover-collector does not answer at "+addr) {
		t.Errorf("stream: %d %s", code, text)
	}
}

// TestACollectorComesAndGoes asks a controller about a span that its
// collector took, then ends the collector and starts it again: the controller
// heals without a restart.
func TestACollectorComesAndGoes(t *testing.T) {
	dir, addr := t.TempDir(), testutil.FreeAddr(t)
	rest, _ := startController(t, addr)
	at, stop := startCollector(t, dir, addr, server.Options{})
	now := time.Now().Add(-time.Minute).UnixNano()
	code, text := ask(t, http.MethodPost, "http://"+at.OTLPHTTP+"/v1/traces", fmt.Sprintf(`{"resourceSpans":[{
		"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},
		"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
			"name":"GET /","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`, now, now+5e6))
	if code != http.StatusOK {
		t.Fatalf("OTLP: %d %s", code, text)
	}
	stats := rest + "/api/v1/visibility/stats?group_by=service"
	has := func() (bool, string) {
		code, text := ask(t, http.MethodGet, stats, "")
		return code == http.StatusOK && strings.Contains(text, `"web"`) && strings.Contains(text, `"0.005s"`), text
	}
	testutil.Eventually(t, 10*time.Second, has)
	config := rest + "/api/v1/visibility/config"
	if code, text := ask(t, http.MethodPatch, config, `{"services":{"items":["web"]},"monitoring_url":"http://127.0.0.1:1"}`); code != http.StatusOK {
		t.Errorf("configure: %d %s", code, text)
	}
	_, configured := ask(t, http.MethodGet, config, "")
	code, text = ask(t, http.MethodPost, rest+"/api/v1/visibility/stop", "{}")
	if code != http.StatusOK || !strings.Contains(text, "Stopped collector on pid: ") {
		t.Errorf("stop: %d %s", code, text)
	}
	stop()
	if code, text := ask(t, http.MethodGet, stats, ""); code != http.StatusServiceUnavailable {
		t.Errorf("without the collector: %d %s", code, text)
	}
	startCollector(t, dir, addr, server.Options{})
	testutil.Eventually(t, 20*time.Second, has)
	if code, text := ask(t, http.MethodGet, rest+"/api/v1/visibility/status", ""); code != http.StatusOK || !collectingFalse.MatchString(text) {
		t.Errorf("the stop is forgotten: %d %s", code, text)
	}
	// A controller holds nothing, so one that is new answers the same.
	second, _ := startController(t, addr)
	for _, url := range []string{config, second + "/api/v1/visibility/config"} {
		testutil.Eventually(t, 10*time.Second, func() (bool, string) { // the second has to connect first
			_, text := ask(t, http.MethodGet, url, "")
			return same(t, text, configured), fmt.Sprintf("the configuration is forgotten: %s, was %s", text, configured)
		})
	}
}

func TestWrongFlags(t *testing.T) {
	err := run(t.Context(), []string{"--grpc-addr", "0.0.0.0:0"}, &testutil.Output{}, &testutil.Output{})
	if err == nil || !strings.Contains(err.Error(), "--allow-remote") {
		t.Errorf("%v", err)
	}
}
