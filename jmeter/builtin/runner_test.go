package builtin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/builtin"
	"github.com/opnfv/clover/jmeter/runnertest"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestSuite(t *testing.T) { runnertest.Suite(t, builtin.New(builtin.Options{})) }

// TestHTTP2 holds that a plan that asks for HTTP/2 gets it, with and without
// TLS, and that without verify: true any certificate is taken.
func TestHTTP2(t *testing.T) {
	for _, secure := range []bool{false, true} {
		recorder := &runnertest.Recorder{}
		server := httptest.NewUnstartedServer(recorder)
		server.EnableHTTP2 = true
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP2(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		if secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		defer server.Close()
		plan := parse(t, `
http2: true
load_spec: {num_threads: 2, loops: 5}
url_list: [{name: a, url: "ADDR/h2/a", method: POST, body: x, user-agent: me}, {name: b, url: "ADDR/h2/json", extract: [{variable: t, json: $.token}]}, {name: c, url: "ADDR/h2/${t}"}]
`, server.URL)
		results := runnertest.Run(t, builtin.New(builtin.Options{}), plan, jmeter.RunOptions{})
		records := recorder.Take("h2")
		if results.All.Count != 30 || results.All.Errors > 0 || len(records) != 30 {
			t.Errorf("%d results, %d errors %v, %d requests", results.All.Count, results.All.Errors, results.All.Failures, len(records))
		}
		connections := map[string]bool{}
		for _, r := range records {
			connections[r.Remote] = true
			if r.Proto != "HTTP/2.0" || r.Method == "POST" && (r.Body != "x" || r.Header.Get("User-Agent") != "me") {
				t.Errorf("%+v", r)
			}
		}
		if len(connections) != 2 {
			t.Errorf("%d connections for 2 users", len(connections))
		}
	}
}

func TestTLSIsVerifiedIfAsked(t *testing.T) {
	server := httptest.NewTLSServer(&runnertest.Recorder{})
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	const text = "tls: {verify: true}\nurl_list: [{name: a, url: ADDR/tls/a}]"
	results := runnertest.Run(t, builtin.New(builtin.Options{}), parse(t, text, server.URL), jmeter.RunOptions{})
	if results.All.Errors != 1 {
		t.Errorf("%+v, want an error of an unknown authority", results.All)
	}
	results = runnertest.Run(t, builtin.New(builtin.Options{}), parse(t, "url_list: [{name: a, url: ADDR/tls/a}]", server.URL), jmeter.RunOptions{})
	if results.All.Errors != 0 {
		t.Errorf("%+v", results.All)
	}
}

// TestIntendedTime holds that requests that have to wait for a busy server
// are counted with the time that they waited.
func TestIntendedTime(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	plan := parse(t, "load_spec: {rate: 10, duration: 1, max_threads: 1}\nurl_list: [{name: a, url: ADDR/x/slow}]", server.URL)
	results, outcome, err := jmeter.Run(t.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{}, jmeter.Watch{})
	if err != nil {
		t.Fatal(err)
	}
	if outcome.Missed == 0 || outcome.Missed+results.All.Count != 10 {
		t.Errorf("%d missed and %d done, want 10 together", outcome.Missed, results.All.Count)
	}
	// The second was to be sent 200 ms before the first one had ended.
	if results.All.Max < 450*time.Millisecond {
		t.Errorf("the longest took %v; the time that it waited is not in it", results.All.Max)
	}
}

func TestFullDiskEndsTheRunAndLosesNothing(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	full := errors.New("no space left")
	n := 0
	plan := parse(t, "load_spec: {num_threads: 2, loops: 0, duration: 10m}\nurl_list: [{name: a, url: ADDR/x/a}]", server.URL)
	results, _, err := jmeter.Run(t.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{Sink: func(*jmeter.Sample) error {
		if n++; n > 5 {
			return full
		}
		return nil
	}}, jmeter.Watch{})
	if !errors.Is(err, full) || results.All.Count < 6 {
		t.Errorf("%d results, %v", results.All.Count, err)
	}
}

func TestCutOff(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	plan := parse(t, "load_spec: {num_threads: 2, loops: 0, duration: 10m}\nurl_list: [{name: a, url: ADDR/x/slow}]", server.URL)
	results, _, err := jmeter.Run(ctx, builtin.New(builtin.Options{}), plan, jmeter.RunOptions{Sink: func(*jmeter.Sample) error {
		cancel()
		return nil
	}}, jmeter.Watch{})
	if !errors.Is(err, context.Canceled) || results.All.Count == 0 || results.All.Errors > 0 {
		t.Errorf("%d results, %d errors, %v", results.All.Count, results.All.Errors, err)
	}
}

func TestFaults(t *testing.T) {
	nonsense, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nonsense.Close()
	go func() {
		for {
			conn, err := nonsense.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn)) // what is unread when it closes would be a reset
			_, _ = conn.Write([]byte("SSH-2.0-nonsense\r\n"))
			conn.Close()
		}
	}()
	closed := "http://" + testutil.FreeAddr(t)
	plan := parse(t, `
url_list:
- {name: refused, url: "`+closed+`"}
- {name: nonsense, url: "ADDR", timeout: 60s}
`, "http://"+nonsense.Addr().String())
	results := runnertest.Run(t, builtin.New(builtin.Options{}), plan, jmeter.RunOptions{})
	for label, want := range map[string]string{"refused": "connection refused", "nonsense": "error"} {
		if s := results.Label(label); s == nil || s.Codes["Non HTTP response code: "+want] != 1 {
			t.Errorf("%s: %+v, want %s", label, s, want)
		}
	}
}

func TestDeniedTargets(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	policy := jmeter.Policy{Allow: []string{"*.example", "10.0.0.0/8"}}
	results := runnertest.Run(t, builtin.New(builtin.Options{Allow: policy.AllowAddress}), parse(t, "url_list: [{name: a, url: ADDR/x/a}]", server.URL), jmeter.RunOptions{})
	if results.All.Codes["Non HTTP response code: not allowed"] != 1 {
		t.Errorf("%+v", results.All)
	}
}

func TestCheckSaysWhatCannotBeRun(t *testing.T) {
	plan := parse(t, "functions: true\nurl_list: [{name: a, url: \"ADDR/${__time()}\"}]", "http://localhost")
	var unsupported *jmeter.UnsupportedError
	if err := builtin.New(builtin.Options{}).Check(plan); !errors.As(err, &unsupported) || !errors.Is(err, jmeter.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func parse(t *testing.T, text, addr string) *jmeter.Plan {
	t.Helper()
	plan, err := jmeter.ParsePlan([]byte(strings.ReplaceAll(text, "ADDR", addr)))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestExclusive holds that of two who start at once one is refused.
func TestExclusive(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	plan := parse(t, "url_list: [{name: a, url: ADDR/x/a}]", server.URL)
	runner := jmeter.Exclusive(builtin.New(builtin.Options{}))
	var second error
	_, err := runner.Run(t.Context(), plan, jmeter.RunOptions{Sink: func(*jmeter.Sample) error {
		_, second = runner.Run(t.Context(), plan, jmeter.RunOptions{})
		return nil
	}})
	if err != nil || !errors.Is(second, jmeter.ErrBusy) {
		t.Errorf("%v, and the second: %v", err, second)
	}
	if _, err := runner.Run(t.Context(), plan, jmeter.RunOptions{}); err != nil {
		t.Errorf("after it: %v", err)
	}
}
