package command

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/loadtests"
	"github.com/opnfv/clover/examples/internal/loadtesting"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/jmeter/master"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

// serveTests runs a controller with that load test area.
func serveTests(t *testing.T, o server.Options, workers ...func(context.Context) error) (address string) {
	t.Helper()
	return serveTestsWith(t, v1.UnimplementedVisibilityServiceServer{}, o, workers...)
}

// serveTestsWith does so with a visibility service.
func serveTestsWith(t *testing.T, service v1.VisibilityServiceServer, o server.Options, workers ...func(context.Context) error) (address string) {
	t.Helper()
	o.GRPCAddr, o.RESTAddr = "127.0.0.1:0", "127.0.0.1:0"
	srv, err := server.New(t.Context(), service, o)
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1+len(workers))
	for _, work := range append(workers, srv.Run) {
		go func() { done <- work(ctx) }()
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	_, rest := srv.Addrs()
	return "http://" + rest
}

// loadTesting runs a controller with a master of its own, whose tests may
// reach this machine.
func loadTesting(t *testing.T) (address string) {
	t.Helper()
	var o server.Options
	local, err := loadtesting.NewLocal(master.Options{
		Dir: t.TempDir(), Targets: master.Targets{Allow: []string{"127.0.0.1"}}, Logger: testutil.Logger(t), Grace: 100 * time.Millisecond,
	}, &o)
	check(t, err)
	t.Cleanup(func() { check(t, local.Close()) })
	return serveTests(t, o, local.Run)
}

// site is a server whose path /hold waits for its end.
func site(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hold":
			<-r.Context().Done()
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// file writes a file for a command.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// guideLine is one of the lines that the guide shows for detail.
var guideLine = regexp.MustCompile(`(?m)^\d{13},\d+,url1,200,OK,ThreadGroup 1-\d,text,true,,\d+,\d+,\d+,\d+,\d+,\d+,\d+$`)

// TestTheGuideOfLoadTests types the commands of the guide.
func TestTheGuideOfLoadTests(t *testing.T) {
	address, url := loadTesting(t), site(t)
	must := func(want string, args ...string) string {
		t.Helper()
		code, out, errs := ctl(t, "", append([]string{"--controller", address}, args...)...)
		if code != exitOK || !strings.Contains(out+errs, want) {
			t.Fatalf("%v: exit %d, want %q in\n%s%s", args, code, want, out, errs)
		}
		return out
	}
	plan, err := os.ReadFile("../../yaml/jmeter_testplan.yaml")
	check(t, err)
	text := strings.NewReplacer("http://proxy-access-control.default:9180", url, "ramp_time: 60", "ramp_time: 1").Replace(string(plan))
	must("Created test plan", "create", "testplan", "-f", file(t, "jmeter_testplan.yaml", text))
	must("default  5        2         builtin", "get", "testplan")
	if got := must("", "get", "testplan", "--text"); got != text {
		t.Errorf("%q is not the plan %q", got, text)
	}
	id := regexp.MustCompile(`run (\w+)`).FindStringSubmatch(must("Started test plan default by builtin on the master", "start", "testplan"))[1]
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		out := must(id, "get", "testruns")
		return strings.Contains(out, "finished"), out
	})
	for _, line := range []string{"get testresult", "get testresult log", "get testresult --run " + id} {
		must("20 in 00:0", strings.Fields(line)...)
	}
	if out := must("", "get", "testresult", "detail"); len(guideLine.FindAllString(out, -1)) != 10 || strings.Count(out, "\n") != 20 {
		t.Error(out)
	}
	for format, want := range map[string]string{"table": "url2", "json": `"count": 20`, "csv": "url1,10,0,", "junit": "<testsuite", "html": "<!DOCTYPE html>"} {
		must(want, "get", "testresult", "-o", format)
	}
	must(id, "__complete", "get", "testresult", "--run", "")
	must("default", "__complete", "start", "testplan", "")
}

// TestLoadTestsDecide uses the outcome of a run as an exit code.
func TestLoadTestsDecide(t *testing.T) {
	address, url := loadTesting(t), site(t)
	users := file(t, "users.csv", "ann\n")
	for _, c := range []struct {
		plan, args string
		code       int
		want       []string
	}{
		{"url_list: [{name: a, url: URL}]", "", exitOK, []string{"Started test plan", "a      1      0"}},
		{"url_list: [{name: a, url: URL}]", "--criterion count==1 -o junit", exitOK, []string{`tests="2"`, "criteria"}},
		{"url_list: [{name: a, url: URL}]", "--criterion count==2", exitFailure, []string{"✗ count==2 (1)"}},
		{"url_list: [{name: a, url: URL/500}]", "", exitFailure, []string{"100.00%"}},
		{"url_list: [{name: a, url: URL/500}]\ncriteria: [errors == 1]", "", exitOK, []string{"✓ errors == 1"}},
		{"url_list: [{name: a, url: URL/hold}]", "--limit 200ms", exitFailure, []string{"stopped at its limit of 200ms"}},
		{"data: [{file: users.csv, variables: [u]}]\nurl_list: [{name: a, url: 'URL/${u}'}]", "", exitOK, []string{"a      1      0"}},
	} {
		plan := filepath.Join(filepath.Dir(users), "plan.yaml")
		check(t, os.WriteFile(plan, []byte(strings.ReplaceAll(c.plan, "URL", url)), 0o600))
		if code, out, errs := ctl(t, "", "--controller", address, "create", "testplan", "-f", plan); code != exitOK {
			t.Fatal(out, errs)
		}
		code, out, errs := ctl(t, "", append([]string{"--controller", address, "start", "testplan", "--wait"}, strings.Fields(c.args)...)...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(out+errs, want) {
				t.Errorf("%s %s: exit %d, want %d with %q\n%s%s", c.plan, c.args, code, c.code, want, out, errs)
			}
		}
	}
}

// TestLoadTestsSayWhatIsWrong has a word for each fault.
func TestLoadTestsSayWhatIsWrong(t *testing.T) {
	address, url := loadTesting(t), site(t)
	held := file(t, "held.yaml", "url_list: [{name: a, url: "+url+"/hold, timeout: 600s}]")
	away := file(t, "away.yaml", "url_list: [{name: a, url: 'http://169.254.169.254/latest'}]")
	large := file(t, "large.yaml", "url_list: [{name: a, url: "+url+", method: POST, body: "+strings.Repeat("x", maxSentBytes)+"}]")
	outside := file(t, "outside.yaml", "data: [{file: ../x.csv}]\nurl_list: [{name: a, url: "+url+"}]")
	for _, c := range []struct {
		line string
		code int
		want string
	}{
		{"start testplan", exitNotFound, "give one with: cloverctl create testplan -f FILE"},
		{"get testresult", exitNotFound, "there is no run yet"},
		{"stop testplan", exitNotFound, "no test is running"},
		{"create testplan", exitUsage, "which plan?"},
		{"create testplan -f " + away, exitFailure, "169.254.169.254"},
		{"create testplan -f " + large, exitUsage, "at most"},
		{"create testplan -f " + outside, exitUsage, "want files in the folder of the plan"},
		{"create testplan -f nowhere.yaml", exitUsage, "nowhere.yaml"},
		{"create testplan --name ../x -f " + held, exitUsage, "plan name"},
		{"create testplan -f " + held, exitOK, "Created"},
		{"start testplan -s 3", exitFailure, "this master has no JMeter"},
		{"start testplan -o html", exitUsage, "needs --wait"},
		{"start testplan --criterion p95<5", exitUsage, "p95"},
		{"start testplan --wait --wait-timeout 300ms", exitFailure, "goes on, but is not waited for"},
		{"start testplan", exitFailure, "wait for it, stop it, or queue"},
		{"start testplan --queue --run-id next", exitOK, "run next"},
		{"start testplan --queue --run-id next", exitFailure, "already"},
		{"stop testplan --run next", exitOK, "will not begin"},
		{"get testresult nonsense", exitUsage, "want log or detail"},
		{"get testresult -o nonsense", exitUsage, "nonsense"},
		{"get testresult log -o html", exitUsage, "leave --output away"},
		{"get testresult --run nonsense", exitNotFound, "nonsense"},
		{"stop testplan --now", exitOK, "Stopping run"},
	} {
		code, out, errs := ctl(t, "", append([]string{"--controller", address}, strings.Fields(c.line)...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", c.line, code, c.code, c.want, out, errs)
		}
	}
}

// TestARunInTheMesh puts a run beside the spans that a service has sent of it.
func TestARunInTheMesh(t *testing.T) {
	var o server.Options
	local, err := loadtesting.NewLocal(master.Options{
		Dir: t.TempDir(), Targets: master.Targets{Allow: []string{"127.0.0.1"}}, Logger: testutil.Logger(t),
	}, &o)
	check(t, err)
	t.Cleanup(func() { check(t, local.Close()) })
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	collector, err := visibility.NewCollector(store, visibility.CollectorOptions{})
	check(t, err)
	analytics, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{})
	check(t, err)
	service, err := server.NewLocal(server.LocalDeps{Store: store, Analytics: analytics, Collector: collector, Hub: &visibility.Hub{}})
	check(t, err)
	address := serveTestsWith(t, service, o, local.Run)
	var spans atomic.Int64
	traced := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		span := tracing.NewSpan()
		parts := strings.Split(r.Header.Get("Traceparent"), "-")
		id, err := tracing.ParseTraceID(parts[1])
		if err != nil {
			t.Error(err)
		}
		span.TraceID = id
		span.SpanID = tracing.SpanID{byte(spans.Add(1))}
		span.Service, span.Kind, span.Start, span.Duration, span.StatusCode = "web", tracing.KindServer, time.Now(), time.Millisecond, 200
		if _, err := store.Write(r.Context(), &visibility.Batch{Source: "test", Spans: []tracing.Span{span}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(traced.Close)
	plan := file(t, "plan.yaml", "load_spec: {num_threads: 1, loops: 7}\nurl_list: [{name: a, url: "+traced.URL+"}]")
	for _, line := range []string{"create testplan -f " + plan, "start testplan --wait --run-id other", "start testplan --wait --run-id mine"} {
		if code, out, errs := ctl(t, "", append([]string{"--controller", address}, strings.Fields(line)...)...); code != exitOK {
			t.Fatal(line, out, errs)
		}
	}
	code, out, errs := ctl(t, "", "--controller", address, "get", "visibility", "stats", "--run", "mine", "-o", "csv")
	for _, want := range []string{"clients (builtin),7,0,", "mesh,7,0,0.001,", "mesh: web,7,"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, want %q in\n%s%s", code, want, out, errs)
		}
	}
	if code, out, errs := ctl(t, "", "--controller", address, "get", "visibility", "stats", "--run", "mine", "-o", "json"); code != exitOK || !strings.Contains(out, `"traces": 7`) {
		t.Error(code, out, errs)
	}
	if code, _, errs := ctl(t, "", "--controller", address, "get", "visibility", "stats", "--run", "mine", "--since", "1h"); code != exitUsage {
		t.Error(code, errs)
	}
}

// TestWithoutAMaster asks a controller whose master is not there.
func TestWithoutAMaster(t *testing.T) {
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	address := serveTests(t, server.Options{LoadTests: loadtests.New(conn, "127.0.0.1:1")})
	for _, line := range []string{"start testplan", "get testruns"} {
		code, out, errs := ctl(t, "", append([]string{"--controller", address}, strings.Fields(line)...)...)
		if code != exitUnreachable || !strings.Contains(errs, "cloverctl create system validation") || strings.Contains(errs, "desc =") {
			t.Errorf("%s: exit %d %s%s", line, code, out, errs)
		}
	}
}
