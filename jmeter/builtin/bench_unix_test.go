//go:build unix

package builtin_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/builtin"
	"github.com/opnfv/clover/jmeter/process"
)

// serverEnv makes the test program a server, so that its CPU time is not ours.
const serverEnv = "CLOVER_BENCH_SERVER"

func init() {
	addr := os.Getenv(serverEnv)
	if addr == "" {
		return
	}
	err := http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func startServer(b *testing.B) (addr string) {
	addr = testutil.FreeAddr(b)
	testutil.Start(b, testutil.Command{Name: "server", Path: os.Args[0], Env: []string{serverEnv + "=" + addr}})
	testutil.Eventually(b, 20*time.Second, func() (bool, string) {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			return false, err.Error()
		}
		resp.Body.Close()
		return true, ""
	})
	http.DefaultClient.CloseIdleConnections()
	return addr
}

// cpu returns the CPU time that this process, or its children that have
// ended, have taken.
func cpu(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchPlan = `
load_spec: {num_threads: 16, loops: 0, duration: %d}
url_list: [{name: url1, url: "http://%s/a", user_agent: chrome}, {name: url2, url: "http://%s/b", user_agent: safari}]
`

func benchRun(b *testing.B, r jmeter.Runner, addr string, seconds int) *jmeter.Results {
	plan, err := jmeter.ParsePlan(fmt.Appendf(nil, benchPlan, seconds, addr, addr))
	if err != nil {
		b.Fatal(err)
	}
	results, _, err := jmeter.Run(b.Context(), r, plan, jmeter.RunOptions{}, jmeter.Watch{})
	if err != nil || results.All.Errors > 0 {
		b.Fatal(err, results.All.Failures)
	}
	return results
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

// BenchmarkBesideJMeter runs one plan by the built-in runner and by JMeter,
// and wrk with as many connections, and reports requests a second of the
// client's own CPU time. Of JMeter's time, that of a run of one second is
// taken off, so that its start does not count.
func BenchmarkBesideJMeter(b *testing.B) {
	home := testutil.JMeter(b)
	wrk := testutil.Require(b, components.Wrk())
	addr := startServer(b)
	for b.Loop() {
		before := cpu(b, syscall.RUSAGE_SELF)
		own := benchRun(b, builtin.New(builtin.Options{}), addr, 5)
		ownRate := float64(own.All.Count) / (cpu(b, syscall.RUSAGE_SELF) - before).Seconds()

		program := &process.JMeter{Home: home, JVMArgs: []string{"-Xms512m", "-Xmx512m"}}
		var times [3]time.Duration
		var counts [3]int64
		times[0] = cpu(b, syscall.RUSAGE_CHILDREN)
		for i, seconds := range []int{2, 14} {
			counts[i+1] = benchRun(b, program, addr, seconds).All.Count
			times[i+1] = cpu(b, syscall.RUSAGE_CHILDREN)
		}
		long, short := times[2]-times[1], times[1]-times[0]
		peerRate := float64(counts[2]-counts[1]) / (long - short).Seconds()

		before = cpu(b, syscall.RUSAGE_CHILDREN)
		out, err := exec.CommandContext(b.Context(), wrk, "-t", "2", "-c", "16", "-d", "5s", "http://"+addr+"/a").CombinedOutput()
		m := wrkRequests.FindSubmatch(out)
		if err != nil || m == nil {
			b.Fatalf("%v\n%s", err, out)
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			b.Fatal(err)
		}
		wrkRate := float64(n) / (cpu(b, syscall.RUSAGE_CHILDREN) - before).Seconds()
		b.ReportMetric(ownRate, "builtin-req/cpu-s")
		b.ReportMetric(peerRate, "jmeter-req/cpu-s")
		b.ReportMetric(wrkRate, "wrk-req/cpu-s")
		b.ReportMetric(ownRate/peerRate, "x-jmeter")
		b.ReportMetric(ownRate/wrkRate, "x-wrk")
	}
}

// BenchmarkSchedule finds the top rate, then keeps half of it. What a request
// waited behind its schedule is in its latency, so that this is an upper bound.
func BenchmarkSchedule(b *testing.B) {
	addr := startServer(b)
	for b.Loop() {
		top := benchRun(b, builtin.New(builtin.Options{}), addr, 3).All.Rate()
		plan, err := jmeter.ParsePlan(fmt.Appendf(nil, "load_spec: {rate: %.0f, duration: 5, max_threads: 64}\nurl_list: [{name: a, url: \"http://%s/a\"}]", top/2, addr))
		if err != nil {
			b.Fatal(err)
		}
		results, outcome, err := jmeter.Run(b.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{}, jmeter.Watch{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(top, "top-req/s")
		b.ReportMetric(results.All.Rate()/(top/2), "kept-share")
		b.ReportMetric(float64(outcome.Missed), "missed")
		b.ReportMetric(float64(results.All.Quantile(.5).Microseconds()), "p50-µs")
		b.ReportMetric(float64(results.All.Quantile(.99).Microseconds()), "p99-µs")
	}
}
