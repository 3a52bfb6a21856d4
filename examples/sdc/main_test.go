package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/internal/sdc/load"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

// collector receives spans into a store until drained.
func collector(t *testing.T) (addr string, store visibility.Store, drain func()) {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	ingest, err := visibility.NewIngest(s, visibility.IngestOptions{})
	check(t, err)
	receiver, err := tracing.NewReceiver(ingest, tracing.ReceiverOptions{GRPCAddr: "127.0.0.1:0", HTTPAddr: "-"})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- receiver.Run(ctx) }()
	<-receiver.Ready()
	grpcAddr, _ := receiver.Addrs()
	drain = sync.OnceFunc(func() {
		cancel()
		check(t, <-done)
	})
	t.Cleanup(drain)
	return grpcAddr.String(), s, drain
}

// TestNumbersEqualTheTally sends a load through the chain of programs, their
// spans into Clover's own store, and compares its answers with what the
// generator has counted.
func TestNumbersEqualTheTally(t *testing.T) {
	otlp, store, drain := collector(t)
	c := startChain(t, testutil.Redis(t).Addr, "--otlp", otlp)
	tally := sendLoad(t.Context(), t, c.proxy, "--rate", "150", "--requests", "300", "--seed", "3")
	c.settle(t, tally.Sent)
	mirrored, calls := c.ids.served(t), c.proxy.served(t)-tally.Sent
	alerts := c.ids.metric(t, "clover_sdc_alerts_seen_total", "")
	c.stop() // each sends its last spans
	drain()
	// An alert is told at least once.
	if alerts == 0 || alerts > tally.ByAgent["asafaweb.com"] || calls < alerts || mirrored == 0 {
		t.Errorf("%d alerts, %d calls and %d copies of %d requests of the scanner", alerts, calls, mirrored, tally.ByAgent["asafaweb.com"])
	}
	compare(t, store, tally, mirrored, calls)
}

// compare asks the store for what the tally knows.
func compare(t *testing.T, store visibility.Store, tally load.Tally, mirrored, calls int) {
	t.Helper()
	analytics, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{})
	check(t, err)
	counts := func(filter string, by ...visibility.Dimension) map[string]int {
		f, err := visibility.ParseFilter(filter)
		check(t, err)
		res, err := analytics.Query(t.Context(), visibility.Query{GroupBy: by, Filter: f, Limit: visibility.MaxLimit})
		check(t, err)
		m := map[string]int{}
		for _, g := range res.Groups {
			m[strings.Trim(fmt.Sprint(g.Values), "[]")] = int(g.Aggregate.Count)
		}
		return m
	}
	services := counts("", visibility.Service)
	servers := 0
	for i := range 5 {
		servers += services[fmt.Sprintf("clover-server%d", i+1)]
	}
	for what, n := range map[string][2]int{
		"proxy-access-control": {services["proxy-access-control"], tally.Sent + calls},
		"http-lb":              {services["http-lb"], tally.Sent}, "all servers": {servers, tally.Sent},
		"clover-server5": {services["clover-server5"], 0}, "snort-ids": {services["snort-ids"], mirrored},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d requests, the tally has %d; all: %v", what, n[0], n[1], services)
		}
	}
	front := "service = proxy-access-control and source = '(external)'"
	statuses, agents, methods := counts(front, visibility.Status), counts(front, visibility.UserAgent), counts(front, visibility.Method)
	for status, n := range tally.ByStatus {
		if got := statuses[fmt.Sprint(status)]; got != n {
			t.Errorf("status %d: %d requests, the tally has %d", status, got, n)
		}
	}
	for agent, n := range tally.ByAgent {
		if agents[agent] != n {
			t.Errorf("agent %s: %d requests, the tally has %d", agent, agents[agent], n)
		}
	}
	for method, n := range tally.ByMethod {
		if methods[method] != n {
			t.Errorf("method %s: %d requests, the tally has %d", method, methods[method], n)
		}
	}
	urls := map[string]int{}
	for url, n := range counts(front, visibility.URL) {
		_, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		urls["/"+path] += n
	}
	for path, n := range tally.ByPath {
		if urls[path] != n {
			t.Errorf("path %s: %d requests, the tally has %d", path, urls[path], n)
		}
	}
	graph, err := analytics.Graph(t.Context(), visibility.Range{}, nil)
	check(t, err)
	for _, e := range graph.Edges {
		if e.Source == "snort-ids" && e.Destination == "proxy-access-control" && int(e.Aggregate.Count) == calls {
			return
		}
	}
	t.Errorf("the graph has no edge of %d alerts", calls)
}

// TestAScannerIsKeptOut is the path of an alert: copy, rule, event in Redis,
// ProcessAlerts, 403.
func TestAScannerIsKeptOut(t *testing.T) {
	server := testutil.Redis(t)
	c := startChain(t, server.Addr)
	front, scanner, other := "http://"+c.proxy.http+"/", []string{"X-Forwarded-For", "203.0.113.9", "User-Agent", "asafaweb.com"}, []string{"X-Forwarded-For", "203.0.113.10"}
	if code, _ := get(t, front, scanner...); code != 200 {
		t.Errorf("the first request: %d", code)
	}
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		code, body := get(t, front, "X-Forwarded-For", "203.0.113.9")
		return code == 403, body
	})
	if code, _ := get(t, front, other...); code != 200 {
		t.Errorf("another client: %d", code)
	}
	r := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer r.Close()
	if got := r.SMembers(t.Context(), "snort_events").Val(); fmt.Sprint(got) != "[1]" {
		t.Errorf("events %v", got)
	}
	if got := r.HMGet(t.Context(), "snort_event:1", "source-ip", "signature-id").Val(); fmt.Sprint(got) != "[203.0.113.9 9000001]" {
		t.Errorf("event %v", got)
	}
	ctl := nginx.NewControllerClient(dial(t, c.proxy, nil))
	res, err := ctl.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{Unblock: []string{"203.0.113.9"}})
	if err != nil || len(res.GetBlocked()) != 0 {
		t.Errorf("unblock: %v, %v", res, err)
	}
	if code, _ := get(t, front, "X-Forwarded-For", "203.0.113.9"); code != 200 {
		t.Errorf("unblocked: %d", code)
	}
	// As the IDS of 2019 says it: by the event's key alone.
	alert, err := ctl.ProcessAlerts(t.Context(), &nginx.ProcessAlertsRequest{EventId: "1", RedisKey: "snort_event:1"})
	if err != nil || !alert.GetBlocked() || alert.GetSourceIp() != "203.0.113.9" {
		t.Errorf("by key: %v, %v", alert, err)
	}
	if code, _ := get(t, front, "X-Forwarded-For", "203.0.113.9"); code != 403 {
		t.Errorf("blocked by key: %d", code)
	}
}

// TestRulesOfUsers follows the guide: a rule, stop, start.
func TestRulesOfUsers(t *testing.T) {
	proxy := start(t, "proxy", "--upstream", "127.0.0.1:1", "--mirror", "", "--trusted-hops", "1")
	ids := start(t, "ids", "--alerts", proxy.grpc)
	ctl := snort.NewControllerClient(dial(t, ids, nil))
	rule := &snort.AddRulesRequest{
		Sid: "10000009", Protocol: "tcp", DestPort: "any", DestIp: "$HOME_NET", SrcPort: "any", SrcIp: "any", Msg: "a word", Rev: "001", Content: `"sesame"`,
	}
	ask := func(client string) {
		get(t, "http://"+ids.http+"/sesame", "X-Forwarded-For", client)
		get(t, "http://"+ids.http+"/", "X-Forwarded-For", client)
	}
	ask("203.0.113.1")
	added, err := ctl.AddRules(t.Context(), rule)
	if err != nil || added.GetMessage() != "Added to local rules" {
		t.Fatalf("%v, %v", added, err)
	}
	stopped, err := ctl.StopSnort(t.Context(), &snort.StopSnortRequest{})
	check(t, err)
	ask("203.0.113.2")
	started, err := ctl.StartSnort(t.Context(), &snort.StartSnortRequest{})
	check(t, err)
	if want := fmt.Sprintf("Stopped clover-ids on pid: %d, Cleared clover-ids logs", started.GetPid()); stopped.GetMessage() != want {
		t.Errorf("%q, want %q", stopped.GetMessage(), want)
	}
	ask("203.0.113.3")
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		n := ids.metric(t, "clover_sdc_alerts_total{", `outcome="delivered",sink="proxy"`)
		return n == 1, fmt.Sprint(n, " alerts")
	})
	for client, want := range map[string]int{"203.0.113.1": 502, "203.0.113.2": 502, "203.0.113.3": 403} {
		if code, _ := get(t, "http://"+proxy.http+"/", "X-Forwarded-For", client); code != want {
			t.Errorf("client %s: %d, want %d", client, code, want)
		}
	}
}

// TestRulesFromAFolder adds rule files, and refuses wrong ones.
func TestRulesFromAFolder(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "site.rules")
	check(t, os.WriteFile(file, []byte(`alert http any any -> any any (msg:"a word"; http.uri; content:"sesame"; sid:10000009; rev:1;)`), 0o600))
	proxy := start(t, "proxy", "--upstream", "127.0.0.1:1", "--mirror", "", "--trusted-hops", "1")
	ids := start(t, "ids", "--alerts", proxy.grpc, "--rules", folder, "--no-starter-rules")
	got, err := snort.NewControllerClient(dial(t, ids, nil)).GetStatus(t.Context(), &snort.GetStatusRequest{})
	if err != nil || got.GetRules() != 1 || got.GetEngine() != "clover-ids" {
		t.Errorf("%v, %v", got, err)
	}
	get(t, "http://"+ids.http+"/sesame", "X-Forwarded-For", "203.0.113.1")
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		code, _ := get(t, "http://"+proxy.http+"/", "X-Forwarded-For", "203.0.113.1")
		return code == 403, fmt.Sprint(code)
	})
	check(t, os.WriteFile(file, []byte("alert http any (\n"), 0o600))
	err = run(t.Context(), []string{"ids", "--alerts", "", "--rules", folder, "--http-addr", "127.0.0.1:0", "--grpc-addr", "-"}, &testutil.Output{}, &testutil.Output{})
	if err == nil || !strings.Contains(err.Error(), "site.rules:1:") {
		t.Errorf("wrong rules: %v", err)
	}
}

// TestModifyLBUnderLoad is the guide's lbv2.yaml, while requests are sent.
func TestModifyLBUnderLoad(t *testing.T) {
	var addrs []string
	var servers []*process
	for range 5 {
		s := start(t, "server")
		servers, addrs = append(servers, s), append(addrs, s.http)
	}
	lb := start(t, "lb", "--servers", strings.Join(addrs[:3], ","))
	ctl := nginx.NewControllerClient(dial(t, lb, nil))
	tallies := make(chan load.Tally, 1)
	sending, stopLoad := context.WithCancel(t.Context())
	go func() {
		defer close(tallies)
		tallies <- sendLoad(sending, t, lb, "--rate", "150", "--path", "/,/slow", "--method", "GET,POST")
	}()
	testutil.Eventually(t, 60*time.Second, func() (bool, string) { return lb.served(t) > 100, "the load has not begun" })
	res, err := ctl.ModifyLB(t.Context(), &nginx.ModifyLBRequest{LbName: "http-lb-v2.default", LbList: []*nginx.Server{{Url: addrs[3]}, {Url: addrs[4]}}})
	if err != nil || res.GetMessage() != "Modified nginx config" || len(res.GetPrevious()) != 3 {
		t.Fatalf("%v, %v", res, err)
	}
	testutil.Eventually(t, 60*time.Second, func() (bool, string) { return servers[4].served(t) > 20, "the new servers get no requests" })
	stopLoad()
	tally := <-tallies
	if tally.ByStatus[200]+tally.ByStatus[201] != tally.Sent {
		t.Errorf("requests failed: %+v", tally)
	}
	before, after := 0, 0
	for i, s := range servers {
		if n := s.served(t); i < 3 {
			before += n
		} else {
			after += n
		}
	}
	if before+after != tally.Sent || before < 80 {
		t.Errorf("the servers before got %d, those after %d of %d", before, after, tally.Sent)
	}
	if sendLoad(t.Context(), t, lb, "--rate", "200", "--requests", "20"); servers[0].served(t)+servers[1].served(t)+servers[2].served(t) != before {
		t.Error("the servers before still get requests")
	}
}

func TestWrongUsage(t *testing.T) {
	t.Setenv("SDC_GRACE", "-1s")
	for _, args := range [][]string{
		{}, {"gateway"}, {"proxy", "--nonsense"}, {"server"}, {"load", "--url", "ftp://x"}, {"load", "--rate", "-1"},
	} {
		if err := run(t.Context(), args, &testutil.Output{}, &testutil.Output{}); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	t.Setenv("SDC_GRACE", "1s")
	for flag, args := range map[string][]string{
		"--insecure": {"lb", "--grpc-addr", ":0"}, "--tls-cert-file": {"lb", "--tls-cert-file", "x"}, "--log-level": {"lb", "--log-level", "loud"},
		"--log-format": {"lb", "--log-format", "xml"}, "--servers": {"lb", "--servers", "nowhere"}, "--site-root": {"server", "--site-root", "/none/here"},
		"--never-block": {"proxy", "--never-block", "all"}, "--alerts": {"ids"}, "--upstream": {"proxy", "--upstream", "x"}, "--otlp": {"lb", "--otlp", "ftp://x"},
	} {
		if err := run(t.Context(), args, &testutil.Output{}, &testutil.Output{}); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%v: %v, want a word on %s", args, err, flag)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, &help, &help); err == nil || !strings.Contains(help.String(), "snort-ids") {
		t.Errorf("help: %v\n%s", err, &help)
	}
}
