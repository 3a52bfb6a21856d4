package main

import (
	"context"
	"errors"
	"io"
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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program runs the program until stop, or the end of the test.
func program(t *testing.T, args ...string) (out *testutil.Output, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out = &testutil.Output{}
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, out, out) }()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(stop)
	return out, stop
}

// pki has the certificates of a master and of its controller.
type pki struct {
	ca              *testutil.Authority
	cert, key       string
	client, foreign certfile.Files
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{ca: testutil.NewAuthority(t)}
	p.cert, p.key = p.ca.Server(t)
	p.client.CA, p.foreign.CA = p.ca.File, p.ca.File
	p.client.Cert, p.client.Key = p.ca.Client(t, "clover-controller")
	p.foreign.Cert, p.foreign.Key = p.ca.Client(t, "clovisor")
	return p
}

var readyLine = regexp.MustCompile(`gRPC (\S+),`)

// startMaster runs a master by mutual TLS.
func (p *pki) startMaster(t *testing.T, dir string, more ...string) (address string, stop func()) {
	t.Helper()
	out, stop := program(t, append([]string{
		"master", "--listen", "127.0.0.1:0", "--health-address", "127.0.0.1:0", "--data-dir", dir, "--allow-target", "127.0.0.1",
		"--tls-cert-file", p.cert, "--tls-key-file", p.key, "--tls-client-ca-file", p.ca.File, "--tls-client-name", "clover-controller",
	}, more...)...)
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		if m := readyLine.FindStringSubmatch(out.String()); m != nil {
			address = m[1]
		}
		return address != "", out.String()
	})
	return address, stop
}

func dial(t *testing.T, address string, files certfile.Files) jmeter.ControllerClient {
	t.Helper()
	creds, err := certfile.Client(files, testutil.Logger(t))
	check(t, err)
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return jmeter.NewControllerClient(conn)
}

// web is a server that counts its requests.
func web(t *testing.T) (url string, count *atomic.Int64) {
	t.Helper()
	count = &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { count.Add(1) }))
	t.Cleanup(srv.Close)
	return srv.URL, count
}

// waitFor follows a run to its end.
func waitFor(t *testing.T, c jmeter.ControllerClient, id string) *jmeter.Run {
	t.Helper()
	stream, err := c.WatchRun(t.Context(), &jmeter.WatchRunRequest{RunId: id})
	check(t, err)
	var last *jmeter.Run
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last
		}
		check(t, err)
		last = m.GetRun()
	}
}

// keys writes the pair by which JMeter's processes know each other.
func keys(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := testutil.NewAuthority(t).Server(t)
	for from, to := range map[string]string{cert: "tls.crt", key: "tls.key"} {
		data, err := os.ReadFile(from)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, to), data, 0o600))
	}
	return dir
}

// TestMasterAndSlaves runs the plan of the guide on two slaves of the real
// JMeter, where three were asked for.
func TestMasterAndSlaves(t *testing.T) {
	home, pair := testutil.JMeter(t), keys(t)
	t.Setenv("TMPDIR", t.TempDir()) // for what Java reads of the keys
	common := []string{"--jmeter-home", home, "--keys", pair, "--advertise", "127.0.0.1", "--jvm-arg=-XX:TieredStopAtLevel=1", "--jvm-arg=-Xmx256m"}
	args := append([]string{}, common...)
	var probes []string
	for range 2 {
		addr, probe := testutil.FreeAddr(t), testutil.FreeAddr(t)
		_, port, _ := strings.Cut(addr, ":")
		program(t, append([]string{"slave", "--port", port, "--health-address", probe}, common...)...)
		args, probes = append(args, "--slave", addr), append(probes, "http://"+probe+"/readyz")
	}
	p := newPKI(t)
	address, _ := p.startMaster(t, t.TempDir(), args...)
	for _, probe := range probes {
		testutil.Eventually(t, 5*time.Minute, func() (bool, string) { return answers(t, probe), probe })
	}
	c := dial(t, address, p.client)
	url, count := web(t)
	res, err := c.GenTest(t.Context(), &jmeter.GenTestRequest{Plan: `
load_spec: {num_threads: 5, loops: 2, ramp_time: 1, duration: 80}
url_list:
- {name: url1, url: "` + url + `", method: GET, user-agent: chrome}
- {name: url2, url: "` + url + `", method: GET, user-agent: safari}
`})
	check(t, err)
	if len(res.GetPlan().GetEngines()) != 2 {
		t.Error(res)
	}
	started, err := c.StartTest(t.Context(), &jmeter.StartTestRequest{Slaves: 3})
	check(t, err)
	if !strings.Contains(started.GetMessage(), "by jmeter on 2 slaves") || !strings.Contains(started.GetMessage(), "3 slaves were asked for, 2 answer") {
		t.Error(started.GetMessage())
	}
	if _, err := c.StartTest(t.Context(), &jmeter.StartTestRequest{}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), started.GetRun().GetId()) {
		t.Errorf("a second user: %v", err)
	}
	last := waitFor(t, c, started.GetRun().GetId())
	if n := last.GetNumbers(); last.GetState() != jmeter.RunState_RUN_STATE_FINISHED || n.GetCount() != 40 || n.GetErrors() != 0 || count.Load() != 40 || !last.GetPassed() {
		t.Errorf("%d requests have arrived: %v", count.Load(), last)
	}
	detail, err := c.GetResults(t.Context(), &jmeter.GetResultsRequest{Format: "detail"})
	check(t, err)
	for _, slave := range last.GetSlaveAddresses() {
		if n := strings.Count(detail.GetMessage(), slave); n != 20 {
			t.Errorf("%d results of %s in\n%s", n, slave, detail.GetMessage())
		}
	}
}

func answers(t *testing.T, url string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// TestARestartInTheMiddle ends the program in the middle of a run and starts
// it again.
func TestARestartInTheMiddle(t *testing.T) {
	p, dir := newPKI(t), t.TempDir()
	address, stop := p.startMaster(t, dir, "--grace", "2m") // no request is cut off
	c := dial(t, address, p.client)
	url, count := web(t)
	_, err := c.GenTest(t.Context(), &jmeter.GenTestRequest{Name: "long", Plan: `
load_spec: {num_threads: 2, loops: 0, duration: 600, think_time: 5ms}
url_list: [{name: long, url: "` + url + `"}]`})
	check(t, err)
	_, err = c.StartTest(t.Context(), &jmeter.StartTestRequest{Plan: "long", RunId: "cut-off"})
	check(t, err)
	testutil.Eventually(t, 30*time.Second, func() (bool, string) { return count.Load() > 20, "requests" })
	stop()
	address, _ = p.startMaster(t, dir)
	c = dial(t, address, p.client)
	res, err := c.GetRun(t.Context(), &jmeter.GetRunRequest{RunId: "cut-off"})
	check(t, err)
	if r := res.GetRun(); r.GetState() != jmeter.RunState_RUN_STATE_INTERRUPTED || r.GetNumbers().GetCount() != count.Load() {
		t.Errorf("%d requests have arrived: %v", count.Load(), r)
	}
}

// TestOnlyTheControllerMayAsk shows another certificate of the same authority.
func TestOnlyTheControllerMayAsk(t *testing.T) {
	p := newPKI(t)
	address, _ := p.startMaster(t, t.TempDir())
	if _, err := dial(t, address, p.foreign).ListRuns(t.Context(), &jmeter.ListRunsRequest{}); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if _, err := dial(t, address, p.client).ListRuns(t.Context(), &jmeter.ListRunsRequest{}); err != nil {
		t.Error(err)
	}
}

func TestWrongFlags(t *testing.T) {
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"master or slave?":         nil,
		"neither master nor slave": {"x"},
		"--data-dir FOLDER":        {"master"},
		"not a loopback address":   {"master", "--data-dir", dir, "--listen", ":0"},
		"need --jmeter-home":       {"master", "--data-dir", dir, "--slave", "a:1"},
		"--jmeter-home: stat":      {"master", "--data-dir", dir, "--jmeter-home", dir},
		"needs --tls-client-ca":    {"master", "--data-dir", dir, "--tls-client-name", "x"},
		"are needed together":      {"master", "--data-dir", dir, "--tls-cert-file", "x"},
		"--jmeter-home FOLDER":     {"slave"},
		"--advertise ADDRESS":      {"slave", "--jmeter-home", dir},
		"--keys FOLDER":            {"slave", "--jmeter-home", dir, "--advertise", "127.0.0.1"},
		"want one of them":         {"master", "--data-dir", dir, "--keys", dir, "--plain-rmi"},
		"--keys: keys for RMI":     {"master", "--data-dir", dir, "--keys", dir},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
