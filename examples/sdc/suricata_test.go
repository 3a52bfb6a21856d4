package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/internal/testutil"
)

// loop is a proxy and an IDS with a real Suricata, which sees the copies on
// their way into a network of their own.
type loop struct {
	ns         *testutil.NetNamespace
	proxy, ids *process
	redis      *redis.Client
}

// startLoop starts them; more are flags of both.
func startLoop(t testing.TB, more ...string) *loop {
	t.Helper()
	program := testutil.Suricata(t)
	ns := testutil.Namespace(t)
	taker := &http.Server{Handler: http.HandlerFunc(accept), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	l := ns.Listen(80)
	go func() { served <- taker.Serve(l) }()
	t.Cleanup(func() {
		check(t, taker.Close())
		<-served
	})
	server := start(t, "server")
	redisAddr := testutil.Redis(t).Addr
	x := &loop{ns: ns, redis: redis.NewClient(&redis.Options{Addr: redisAddr})}
	t.Cleanup(func() { check(t, x.redis.Close()) })
	x.proxy = start(t, "proxy", append([]string{
		"--upstream", server.http, "--mirror", ns.Addr.String() + ":80", "--mirror-timeout", "60s", "--trusted-hops", "1", "--block-nearby", "-1",
	}, more...)...)
	x.ids = start(t, "ids", append([]string{
		"--suricata", program.Path, "--interface", ns.HostInterface, "--redis", redisAddr, "--alerts", x.proxy.grpc, "--state-dir", shortDir(t),
	}, more...)...)
	ctl := snort.NewControllerClient(dial(t, x.ids, nil))
	testutil.Eventually(t, 2*time.Minute, func() (bool, string) {
		s, err := ctl.GetStatus(t.Context(), &snort.GetStatusRequest{})
		return err == nil && s.GetPid() != 0 && s.GetProblem() == "" && s.GetRules() > 0, fmt.Sprint(s, err)
	})
	return x
}

// shortDir is a folder whose sockets have short paths.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clv")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}

// attack sends one request of a scanner, and returns how long it took until
// its client got its first 403.
func (x *loop) attack(t testing.TB, client string) time.Duration {
	t.Helper()
	front := "http://" + x.proxy.http + "/"
	began := time.Now()
	if code, _ := get(t, front, "X-Forwarded-For", client, "User-Agent", "asafaweb.com"); code != http.StatusOK {
		t.Fatalf("the attack of %s: %d", client, code)
	}
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		code, body := get(t, front, "X-Forwarded-For", client)
		return code == http.StatusForbidden, body
	})
	return time.Since(began)
}

// TestTheLoopWithSuricata is the chapter of the guide on rules, with the real
// engine: the starter rule, a rule of a user, a ping, and the block.
func TestTheLoopWithSuricata(t *testing.T) {
	jaeger := testutil.Jaeger(t, testutil.JaegerOptions{})
	x := startLoop(t, "--otlp", jaeger.OTLPGRPC)
	took := x.attack(t, "203.0.113.9")
	x.alertInTrace(t, jaeger)
	t.Logf("from the attack to the first 403: %s", took)
	if code, _ := get(t, "http://"+x.proxy.http+"/", "X-Forwarded-For", "203.0.113.10"); code != http.StatusOK {
		t.Errorf("another client: %d", code)
	}
	x.event(t, "203.0.113.9", "9000001")

	ctl := snort.NewControllerClient(dial(t, x.ids, nil))
	added, err := ctl.AddRules(t.Context(), &snort.AddRulesRequest{Sid: "10000001", Protocol: "icmp", DestIp: "any", Msg: "ICMP test", Rev: "001"})
	if err != nil || added.GetMessage() != "Added to local rules" {
		t.Fatalf("%v, %v", added, err)
	}
	broken := &snort.AddRulesRequest{Sid: "10000004", Protocol: "tcp", DestIp: "$NO_SUCH_NET", Msg: "broken", Rev: "1"}
	if _, err := ctl.AddRules(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "NO_SUCH_NET") {
		t.Errorf("a rule that the engine refuses: %v", err)
	}
	x.ns.Ping()
	x.event(t, x.ns.HostAddr.String(), "10000001")

	stopped, err := ctl.StopSnort(t.Context(), &snort.StopSnortRequest{})
	if err != nil || !strings.HasPrefix(stopped.GetMessage(), "Stopped Suricata on pid: ") || !strings.HasSuffix(stopped.GetMessage(), ", Cleared Suricata logs") {
		t.Errorf("%v, %v", stopped, err)
	}
	started, err := ctl.StartSnort(t.Context(), &snort.StartSnortRequest{})
	if err != nil || started.GetMessage() != fmt.Sprintf("Started Suricata on pid: %d", started.GetPid()) || started.GetPid() == stopped.GetPid() {
		t.Errorf("%v, %v", started, err)
	}
	// Of a connection that was there before the engine, it may miss a request.
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		code, body := get(t, "http://"+x.proxy.http+"/", "X-Forwarded-For", "203.0.113.11", "User-Agent", "asafaweb.com")
		return code == http.StatusForbidden, body
	})
}

// alertInTrace holds that Jaeger shows the call that tells the proxy of a real
// alert, by both of its sides, in the trace of the scanner's request.
func (x *loop) alertInTrace(t *testing.T, jaeger *testutil.JaegerServer) {
	t.Helper()
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		spans, err := jaeger.Spans(t.Context())
		scans, calls := map[string]bool{}, map[string]string{}
		for _, s := range spans {
			switch url := s.Tags["url.full"]; {
			case strings.HasSuffix(url, "/nginx.Controller/ProcessAlerts"):
				calls[s.Service+" "+s.Kind()] = s.TraceID
			case s.Tags["user_agent.original"] == "asafaweb.com" && s.Service == "proxy-access-control" && s.Kind() == "server":
				scans[s.TraceID] = true
			}
		}
		from, to := calls["snort-ids client"], calls["proxy-access-control server"]
		return scans[from] && from == to, fmt.Sprint(calls, scans, err)
	})
}

// event waits for an event in Redis.
func (x *loop) event(t *testing.T, source, sid string) {
	t.Helper()
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		var all []string
		for _, index := range x.redis.SMembers(t.Context(), "snort_events").Val() {
			e := x.redis.HMGet(t.Context(), "snort_event:"+index, "source-ip", "signature-id", "event-id").Val()
			all = append(all, fmt.Sprint(e))
		}
		return slices.ContainsFunc(all, func(e string) bool { return strings.HasPrefix(e, "["+source+" "+sid+" ") }), fmt.Sprint(all)
	})
}

// BenchmarkFromAttackToBlock measures the time from a scanner's request,
// through proxy, copy, Suricata, its log, spool and ProcessAlerts, until the
// same client gets its first 403.
func BenchmarkFromAttackToBlock(b *testing.B) {
	x := startLoop(b)
	var took []time.Duration
	for b.Loop() {
		took = append(took, x.attack(b, fmt.Sprintf("203.0.%d.%d", 100+len(took)/250, 1+len(took)%250)))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}
