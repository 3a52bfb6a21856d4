package command

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/engine"
)

// controller runs a real server over a store with a few traces.
func controller(t *testing.T) (address string, hub *visibility.Hub) {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	check(t, err)
	_, err = store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans()})
	check(t, err)
	return serve(t, store, nil)
}

// controllerOf is the address of a server over a store.
func controllerOf(t *testing.T, store visibility.Store) string {
	t.Helper()
	address, _ := serve(t, store, nil)
	return address
}

// serve runs a real server over a store, which it closes.
func serve(t *testing.T, store visibility.Store, engines *engine.Chooser) (address string, hub *visibility.Hub) {
	t.Helper()
	collector, err := visibility.NewCollector(store, visibility.CollectorOptions{ID: "44"})
	check(t, err)
	analytics, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{})
	check(t, err)
	hub = &visibility.Hub{}
	local, err := server.NewLocal(server.LocalDeps{Store: store, Analytics: analytics, Engines: engines, Collector: collector, Hub: hub, Version: "v9"})
	check(t, err)
	srv, err := server.New(t.Context(), local, server.Options{GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0"})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		check(t, <-done)
		check(t, store.Close())
	})
	_, rest := srv.Addrs()
	return "http://" + rest, hub
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spans are three requests from outside to "web", which asks "db"; the last
// fails, and its user agent has a terminal escape in it.
func spans() []tracing.Span {
	var list []tracing.Span
	for i := range byte(3) {
		web := tracing.NewSpan()
		web.TraceID, web.SpanID = tracing.TraceID{15: i + 1}, tracing.SpanID{1}
		web.Service, web.Kind, web.Operation = "web", tracing.KindServer, "GET /"
		web.Start, web.Duration = time.Now().Add(-time.Minute).Truncate(time.Second), time.Duration(i+1)*10*time.Millisecond
		web.StatusCode, web.Method, web.URL, web.UserAgent = 200, "GET", "http://web/a", "curl/8"
		if i == 2 {
			web.StatusCode, web.Error, web.UserAgent = 503, true, "evil\x1b[2J"
		}
		client := web
		client.SpanID, client.ParentID, client.Kind = tracing.SpanID{2}, web.SpanID, tracing.KindClient
		db := web
		db.SpanID, db.ParentID, db.Service = tracing.SpanID{3}, client.SpanID, "db"
		db.Start, db.Duration = web.Start.Add(time.Millisecond), web.Duration/2
		list = append(list, web, client, db)
	}
	return list
}

// ctl runs a command line.
func ctl(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

func TestTables(t *testing.T) {
	address, _ := controller(t)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"get visibility stats", []string{"SERVICE  COUNT", "web      3", "33.3%", "30ms"}},
		{"get visibility stats -g source,destination --sort p99 --limit 1", []string{"(external)  web", "(1 more)"}},
		{"get visibility stats --filter status=503 -o wide", []string{"RESPONSE BYTES", "100.0%"}},
		{"get visibility stats --count spans", []string{"web      6"}},
		{"get visibility stats --step 10s", []string{"TIME", "web"}},
		{"get visibility services", []string{"SERVICE  COUNT  SHARE", "50.0%"}},
		{"get visibility urls", []string{"http://web/a  6"}},
		{"get visibility user-agents", []string{`evil\x1b[2J`}},
		{"get visibility status-codes", []string{"503"}},
		{"get visibility graph", []string{"web         db           3"}},
		{"get visibility heatmap --bands 8", []string{"FROM", "OVER TIME", "█", "33.3%"}},
		{"get visibility movers", []string{"new", "CHANGE OF RATE"}},
		{"get visibility movers --from 30m --to 1s --ago 24h", []string{"new"}},
		{"get visibility traces --service db --min-duration 15ms", []string{"00000000000000000000000000000003", "503"}},
		{"get visibility trace 3", []string{"3 spans, 3 errors", "  web (client)", "    db", "█", "503 GET http://web/a"}},
		{"get visibility ledger", []string{"test    web      6     6"}},
		{"get visibility status", []string{"collector 44", "9 spans, 3 traces", "version v9"}},
		{"get visibility metrics", []string{"Nothing found."}},
		{"get visibility", []string{"sample_interval", "span_count", "span_status_codes_z", "503, http://web/a"}},
		{"get visibility -s urls", []string{"span_urls"}},
		{"version", []string{"controller v9"}},
	} {
		code, out, errs := ctl(t, "", append([]string{"-q", "--controller", address}, strings.Fields(c.args)...)...)
		for _, want := range c.want {
			if code != 0 || !strings.Contains(out, want) || strings.ContainsRune(out, '\x1b') {
				t.Errorf("%s: exit %d, want %q in\n%s%s", c.args, code, want, out, errs)
			}
		}
	}
}

func TestOtherFormats(t *testing.T) {
	address, _ := controller(t)
	decoders := map[string]func(string) (any, error){
		"json": func(s string) (v any, err error) { return v, json.Unmarshal([]byte(s), &v) },
		"yaml": func(s string) (v any, err error) { return v, yaml.Unmarshal([]byte(s), &v) },
		"csv":  func(s string) (any, error) { return csv.NewReader(strings.NewReader(s)).ReadAll() },
	}
	for format, decode := range decoders {
		for _, args := range []string{"stats", "traces", "trace 3", "ledger", "status", "graph", "urls"} {
			line := append([]string{"--controller", address, "get", "visibility"}, strings.Fields(args)...)
			code, out, errs := ctl(t, "", append(line, "-o", format)...)
			if _, err := decode(out); code != 0 || err != nil {
				t.Errorf("%s as %s: exit %d, %v\n%s%s", args, format, code, err, out, errs)
			}
		}
	}
	_, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "stats", "-o", "json")
	if !strings.Contains(out, `"count": "3"`) {
		t.Errorf("JSON is not the API's own: %s", out)
	}
}

func TestControlAndItsMessages(t *testing.T) {
	address, _ := controller(t)
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "set.yaml"), filepath.Join(dir, "bad.yaml")
	check(t, os.WriteFile(good, []byte("services: [{name: proxy_access_control}]\nmetric_prefixes: [{prefix: envoy_}]\n"), 0o600))
	check(t, os.WriteFile(bad, []byte("services:\n  - name: web\nmetric_prefixs: []\n"), 0o600))
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		{"", []string{"init", "visibility"}, 0, "Added visibility schemas in embedded"},
		{"", []string{"set", "visibility", "-f", good}, 0, "Updated visibility config"},
		{"sample_interval: \"3\"\nt_host: 127.0.0.1\nt_port: \"1\"\n", []string{"start", "visibility", "-f", "-"}, 0, "Started collector on pid: 44"},
		{"", []string{"get", "visibility", "--conf", "services"}, 0, "proxy_access_control"},
		{"", []string{"get", "visibility", "--conf", "sample-interval"}, 0, "3s"},
		{"", []string{"get", "visibility", "-s", "response_times"}, 0, "NA"},
		{"", []string{"stop", "visibility"}, 0, "Stopped collector on pid: 44"},
		{"", []string{"clear", "visibility"}, 0, "Cleared visibility data: 3 traces, 9 spans"},
		{"", []string{"set", "visibility", "-f", bad}, exitUsage, "line 3, column 1: metric_prefixs: unknown key; did you mean metric_prefixes?"},
		{"", []string{"set", "visibility", "-f", "absent.yaml"}, exitUsage, "absent.yaml"},
		{"", []string{"set", "visibility"}, exitUsage, "-f FILE is needed"},
		{"", []string{"get", "visibility", "stats", "--filter", "statuss > 1"}, exitUsage, "did you mean status?"},
		{"", []string{"get", "visibility", "stats", "--group-by", "servce"}, exitUsage, "did you mean service?"},
		{"", []string{"get", "visibility", "stats", "--sort", "p98"}, exitUsage, "--sort"},
		{"", []string{"get", "visibility", "stats", "--from", "yesterday"}, exitUsage, "neither a time"},
		{"", []string{"get", "visibility", "stats", "-o", "xml"}, exitUsage, "want table, wide, json, yaml, csv"},
		{"", []string{"get", "visibility", "trace"}, exitUsage, "want one trace id"},
		{"", []string{"get", "visibility", "trace", "ffff"}, exitNotFound, "not found"},
		{"", []string{"get", "visibility", "nonsense"}, exitUsage, "want one of"},
		{"", []string{"get", "nonsense"}, exitUsage, "want one of blocklist, execution, ids, lb, pipeline, provider, services, testplan, testresult, testruns, visibility"},
		{"", []string{"get", "visibility", "-s", "nonsense"}, exitUsage, "want one of"},
		{"", []string{"--nonsense"}, exitUsage, "unknown flag"},
		{"", []string{"nonsense"}, exitUsage, "unknown command"},
		{"", []string{"stop", "visibility", "now"}, exitUsage, "unknown command"},
		{"", []string{"get", "visibility", "stats", "x"}, exitUsage, "unknown command"},
		{"", []string{"get", "visibility", "stats", "--limit", "x"}, exitUsage, "--limit"},
		{"", []string{"get", "visibility", "stats", "--since", "5m", "--from", "1h"}, exitUsage, "give one"},
		{"", []string{"get", "visibility", "stats", "--from", "5m", "--to", "1h"}, exitUsage, "range"},
		{"", []string{"get", "visibility", "movers", "--filter", "statuss > 1"}, exitUsage, "did you mean status?"},
		{"", []string{"get", "visibility", "movers", "--by", "p98"}, exitUsage, "--by"},
		{"", []string{"get", "visibility", "traces", "--page", "nonsense"}, exitUsage, "none that a previous page gave"},
		{"", []string{"get", "visibility", "status", "--timeout", "0s"}, exitUsage, "--timeout"},
		{"", []string{"get", "visibility", "status", "--controller", "ftp://x"}, exitUsage, "is not a URL"},
		{"", []string{"observe", "--limit", "-1"}, exitUsage, "--limit"},
		{"services: {name: web}\n", []string{"set", "visibility", "-f", "-"}, exitUsage, "line 1"},
	} {
		code, out, errs := ctl(t, c.stdin, append([]string{"--controller", address}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: exit %d, want %d with %q\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
		if c.code != 0 && out != "" {
			t.Errorf("%v: the error is on standard output: %s", c.args, out)
		}
	}
}

func TestObserve(t *testing.T) {
	address, hub := controller(t)
	for format, want := range map[string]string{"text": "503     30ms  GET http://web/a", "json": `"service":"db"`} {
		var out testutil.Output
		done := make(chan int, 1)
		go func() {
			done <- Run(t.Context(), []string{"--controller", address, "observe", "--filter", "service = db or duration > 25ms", "--limit", "5", "-o", format},
				Streams{In: strings.NewReader(""), Out: &out, Err: &testutil.Output{}})
		}()
		testutil.Eventually(t, 10*time.Second, func() (bool, string) { return hub.Stats().Subscribers == 1, out.String() })
		hub.Publish(spans())
		if code := <-done; code != 0 {
			t.Errorf("%s: exit %d", format, code)
		}
		if n := strings.Count(out.String(), "\n"); n != 5 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %d lines, want 5 with %q:\n%s", format, n, want, out.String())
		}
		testutil.Eventually(t, 10*time.Second, func() (bool, string) { return hub.Stats().Subscribers == 0, "still subscribed" })
	}
}

func TestObserveSaysWhatMayBeMisspelt(t *testing.T) {
	address, _ := controller(t)
	for filter, want := range map[string]string{
		"service = webb":                  `no span of service "webb" in the last hour`,
		"service in (WEB, db.default, x)": `no span of service "x"`,
		"service = web":                   "",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var errs testutil.Output
		done := make(chan int, 1)
		go func() {
			done <- Run(ctx, []string{"-q", "--controller", address, "observe", "-f", "--filter", filter},
				Streams{In: strings.NewReader(""), Out: &testutil.Output{}, Err: &errs})
		}()
		if want != "" {
			testutil.Eventually(t, 10*time.Second, func() (bool, string) { return strings.Contains(errs.String(), want), errs.String() })
		}
		cancel()
		if <-done; strings.Count(errs.String(), "no span") > 1 || want == "" && errs.String() != "" {
			t.Errorf("%s: %q", filter, errs.String())
		}
	}
}

func TestWhereTheControllerIs(t *testing.T) {
	address, _ := controller(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	file := filepath.Join(home, ".cloverctl.yaml")
	check(t, os.WriteFile(file, []byte("ControllerIP: "+strings.TrimPrefix(address, "http://")+"\n"), 0o600))
	code, _, errs := ctl(t, "", "get", "visibility", "status")
	if want := "Using config file: " + file + "\nclover-controller address: " + address + "\n"; code != 0 || errs != want {
		t.Errorf("exit %d, %q, want %q", code, errs, want)
	}
	check(t, os.WriteFile(file, []byte("Controller: x\n"), 0o600))
	if code, _, errs := ctl(t, "", "get", "visibility", "status"); code != exitUsage || !strings.Contains(errs, "ControllerIP is missing") {
		t.Errorf("exit %d, %q", code, errs)
	}
	t.Setenv("CLOVER_CONTROLLER", "http://"+testutil.FreeAddr(t))
	code, out, errs := ctl(t, "", "get", "visibility", "status")
	if code != exitUnreachable || out != "" || !strings.Contains(errs, "Choose another address with --controller") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// TestShortFilters holds that --service and --url narrow what --filter does.
func TestShortFilters(t *testing.T) {
	address, _ := controller(t)
	for line, want := range map[string]string{
		"stats --service web":                                 "web,3",
		"stats --service web --url http://web/a":              "web,3",
		"stats --service db":                                  "db,3",
		"stats --service db --filter status=200 -g url":       "http://web/a,2",
		"stats --filter status=200||status=503 --service web": "web,3",
		"movers --service db":                                 "db,",
		"graph --service db":                                  "web,db,3",
		"urls --url http://web/a":                             "http://web/a,6",
		"traces --url http://web/a":                           "00000000000000000000000000000001,",
	} {
		args := append([]string{"-q", "--controller", address, "get", "visibility", "-o", "csv"}, strings.Fields(line)...)
		code, out, errs := ctl(t, "", args...)
		rows := strings.SplitN(out, "\n", 2)
		if code != 0 || len(rows) < 2 || !strings.Contains(rows[1], want) {
			t.Errorf("%s: exit %d, %q, %q; want %q", line, code, out, errs, want)
		}
		if strings.HasPrefix(line, "stats") && strings.Count(out, "\n") != 2 {
			t.Errorf("%s: %q has other rows", line, out)
		}
	}
	code, _, errs := ctl(t, "", "-q", "--controller", address, "get", "visibility", "stats", "--service", "webb")
	if code != exitNotFound || !strings.Contains(errs, "did you mean web?") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestCompletion(t *testing.T) {
	address, _ := controller(t)
	for line, want := range map[string]string{
		"get visibility stats --group-by\x00ur":        "url",
		"get visibility stats --sort\x00p9":            "p99",
		"get visibility stats --filter\x00user":        "user_agent",
		"get visibility stats --filter\x00service = w": "service = web",
		"get visibility stats --filter\x00url = ":      "url = http://web/a",
		"get visibility traces --service\x00d":         "db",
		"get visibility\x00tra":                        "traces",
		"get visibility stats -g\x00service,ur":        "service,url_template",
		"get visibility movers --by\x00p9":             "p95",
		"get visibility trace\x00":                     "00000000000000000000000000000003\tweb http://web/a",
		"get visibility -s\x00status":                  "status_code_urls",
		"get visibility stats --service\x00w":          "web",
		"get visibility urls --url\x00http://w":        "http://web/a",
		"get visibility traces --url\x00":              "http://web/a",
		"observe --service\x00":                        "db",
		"observe --url\x00http":                        "http://web/a",
		"observe --filter\x00dur":                      "duration",
		"get visibility stats -o\x00js":                "json",
	} {
		head, last, _ := strings.Cut(line, "\x00")
		args := append(append([]string{"__complete", "--controller", address}, strings.Fields(head)...), last)
		if _, out, _ := ctl(t, "", args...); !strings.Contains(out, want) {
			t.Errorf("%q: %q, want %q", line, out, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := ctl(t, "", "completion", shell); code != 0 || len(out) < 500 {
			t.Errorf("%s: exit %d, %d bytes", shell, code, len(out))
		}
	}
}
