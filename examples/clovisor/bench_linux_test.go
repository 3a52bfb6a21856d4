package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// The load of BenchmarkTraced: connections that each send at a pace, 5,000
// requests a second together, so that a machine of two cores is not full.
const (
	connections = 50
	perSecond   = 5000
	loadFor     = 4 * time.Second
)

const benchNginx = `daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s; location / { return 200 "a small body a small body a small body\n"; } }
}`

// bench is a server in a namespace, and the program that traces it.
type bench struct {
	*testing.B
	ns      *testutil.NetNamespace
	program string
	addr    string // of nginx
	nginx   int    // its process
}

// BenchmarkTraced loads a real nginx without and with Clovisor beside it, in
// turns: each round is one iteration.
//
//	go test -run '^$' -bench Traced -benchtime 5x ./examples/clovisor
//
// It reports medians: the ratios traced to untraced, of the throughput at the
// highest rate and of the 99th percentile at a steady one, beside what two
// untraced turns, before and after, differ by (noise); the same of nginx's CPU
// time for a request, which a busy machine changes less; the CPU time of a
// request in the program and in the kernel; the share of the requests that is
// accounted for; and memory with 1,000 connections. That is without spans, and
// with spans that are sent by OTLP to a receiver that drops them.
func BenchmarkTraced(b *testing.B) {
	nginx, wrk := testutil.Require(b, components.Nginx()), testutil.Require(b, components.Wrk())
	x := &bench{B: b, ns: testutil.Namespace(b), program: filepath.Join(b.TempDir(), "clovisor")}
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", x.program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	dir := b.TempDir()
	x.addr = net.JoinHostPort(x.ns.Addr.String(), "8080")
	file := filepath.Join(dir, "nginx.conf")
	x.check(os.WriteFile(file, fmt.Appendf(nil, benchNginx, dir, x.addr), 0o600))
	p := testutil.Start(b, testutil.Command{
		Name: "nginx", Path: x.ns.Exec()[0], Args: append(x.ns.Exec()[1:], nginx, "-c", file, "-e", filepath.Join(dir, "e")),
	})
	x.nginx = p.PID()
	p.WaitReady(10*time.Second, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", x.addr)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	x.check(err)
	defer stats.Close()
	b.Run("sessions", func(b *testing.B) { x.run(b, wrk) })
	receiver := receive(b)
	b.Run("spans", func(b *testing.B) { x.run(b, wrk, "--otlp", receiver) })
}

// run measures rounds, with these flags of Clovisor.
func (x *bench) run(b *testing.B, wrk string, flags ...string) {
	x = &bench{B: b, ns: x.ns, program: x.program, addr: x.addr, nginx: x.nginx}
	figures := map[string][]float64{}
	add := func(name string, v float64) { figures[name] = append(figures[name], v) }
	b.ResetTimer()
	for b.Loop() {
		rateBefore, cpuBefore, _ := x.wrk(wrk)
		before99, _ := x.steady()
		t := x.trace(flags...)
		traced99, n := x.steady()
		user, kernel := t.cpu()
		add("user-µs/req", user/float64(n))
		add("kernel-µs/req", kernel/float64(n))
		tracedRate, tracedCPU, sent := x.wrk(wrk)
		seen := t.sessions(int64(n) + sent)
		add("accounted-%", 100*float64(seen)/float64(int64(n)+sent))
		add("MiB-1000-conns", x.held(t))
		t.stop()
		rateAfter, cpuAfter, _ := x.wrk(wrk)
		after99, _ := x.steady()
		add("throughput-ratio", tracedRate/math.Sqrt(rateBefore*rateAfter))
		add("throughput-noise", max(rateAfter/rateBefore, rateBefore/rateAfter))
		add("server-cpu-ratio", tracedCPU/math.Sqrt(cpuBefore*cpuAfter))
		add("server-cpu-noise", max(cpuAfter/cpuBefore, cpuBefore/cpuAfter))
		add("p99-ratio", traced99/math.Sqrt(before99*after99))
		add("p99-noise", max(after99/before99, before99/after99))
	}
	for name, list := range figures {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], name)
	}
}

// receive takes OTLP by HTTP and looks at nothing of it, so that the receiver
// takes little of the machine. It returns its URL.
func receive(b *testing.B) string {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // an empty answer means that all was taken
	}))
	b.Cleanup(s.Close)
	return s.URL
}

func (x *bench) check(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

var wrkFigures = regexp.MustCompile(`(?s)(\d+) requests in .*Requests/sec: +([0-9.]+)`)

// wrk sends as much as it can. It returns requests a second, the CPU time that
// nginx took for one, in ns, and how many there were.
func (x *bench) wrk(program string) (rate, cpu float64, requests int64) {
	x.Helper()
	before := x.nginxTime()
	out, err := exec.CommandContext(x.Context(), program, "-t1", "-c64", "-d3s", "http://"+x.addr+"/").CombinedOutput()
	m := wrkFigures.FindSubmatch(out)
	if err != nil || m == nil {
		x.Fatalf("wrk: %v\n%s", err, out)
	}
	requests, err = strconv.ParseInt(string(m[1]), 10, 64)
	x.check(err)
	rate, err = strconv.ParseFloat(string(m[2]), 64)
	x.check(err)
	return rate, (x.nginxTime() - before) / float64(requests), requests
}

// nginxTime is the CPU time that nginx has taken, in ns. What the kernel does
// for its packets while it sends is in it, Clovisor's programs too.
func (x *bench) nginxTime() (ns float64) {
	x.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", x.nginx))
	x.check(err)
	_, err = fmt.Sscan(string(text), &ns)
	x.check(err)
	return ns
}

// steady sends at a steady pace, and returns the 99th percentile of the
// latencies in seconds, from when a request should have been sent, and how
// many were.
func (x *bench) steady() (p99 float64, requests int) {
	x.Helper()
	var mu sync.Mutex
	var all []time.Duration
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			mine, err := x.pace(i)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if err != nil {
				x.Error(err)
			}
		})
	}
	group.Wait()
	slices.Sort(all)
	return all[len(all)*99/100].Seconds(), len(all)
}

// pace sends the requests of the i-th connection.
func (x *bench) pace(i int) (latencies []time.Duration, err error) {
	c, err := new(net.Dialer).DialContext(x.Context(), "tcp", x.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	const every = time.Second * connections / perSecond
	next := time.Now().Add(every * time.Duration(i) / connections)
	for end := next.Add(loadFor); next.Before(end); next = next.Add(every) {
		time.Sleep(time.Until(next))
		if err := ask(c, in); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(next))
	}
	return latencies, nil
}

func ask(c net.Conn, in *bufio.Reader) error {
	if _, err := io.WriteString(c, "GET /item/17 HTTP/1.1\r\nHost: web\r\nUser-Agent: bench\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// traced is a Clovisor that runs.
type traced struct {
	x       *bench
	process *testutil.Process
	http    string
	user    float64
	kernel  float64
}

// trace starts Clovisor.
func (x *bench) trace(flags ...string) *traced {
	x.Helper()
	t := &traced{x: x, http: testutil.FreeAddr(x)}
	t.process = testutil.Start(x, testutil.Command{Name: "clovisor", Path: x.program, Args: append([]string{
		"--interface", x.ns.HostInterface, "--port", "8080=http", "--output", "none", "--http-addr", t.http, "--name", "bench",
	}, flags...)})
	t.process.WaitReady(30*time.Second, func(ctx context.Context) error {
		_, err := t.get(ctx, "readyz")
		return err
	})
	t.user, t.kernel = t.used()
	return t
}

func (t *traced) stop() { t.process.Stop() }

func (t *traced) get(ctx context.Context, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.http+"/"+what, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	return io.ReadAll(res.Body)
}

// metric is a figure of the process's own.
func (t *traced) metric(name string) float64 {
	t.x.Helper()
	raw, err := t.get(t.x.Context(), "metrics")
	t.x.check(err)
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			t.x.check(err)
			return v
		}
	}
	t.x.Fatalf("no metric %s", name)
	return 0
}

// used is the CPU time so far, in µs: of the process, and of programs in the
// kernel.
func (t *traced) used() (user, kernel float64) {
	return t.metric("process_cpu_seconds_total") * 1e6, kernelTime(t.x)
}

// cpu is the CPU time since it started.
func (t *traced) cpu() (user, kernel float64) {
	user, kernel = t.used()
	return user - t.user, kernel - t.kernel
}

// kernelTime is what programs on interfaces have taken, in µs.
func kernelTime(x *bench) (µs float64) {
	x.Helper()
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return µs
		}
		x.check(err)
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // it has gone
		}
		if p.Type() == ebpf.SchedCLS {
			stats, err := p.Stats()
			x.check(err)
			µs += float64(stats.Runtime.Microseconds())
		}
		x.check(p.Close())
	}
}

// sessions waits until the ledger does not grow any more, and returns how
// many sessions are whole.
func (t *traced) sessions(want int64) (whole int64) {
	t.x.Helper()
	end := time.Now().Add(10 * time.Second)
	for {
		raw, err := t.get(t.x.Context(), "ledger")
		t.x.check(err)
		var l clovisor.Ledger
		t.x.check(json.Unmarshal(raw, &l))
		total := l.Total()
		if whole = total.Outcomes["paired"]; whole >= want || time.Now().After(end) {
			if total.Balance() != 0 {
				t.x.Errorf("the ledger does not add up: %+v", total)
			}
			return min(whole, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// held is Clovisor's resident memory, in MiB, with 1,000 connections that are
// open.
func (x *bench) held(t *traced) float64 {
	x.Helper()
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	for range 1000 {
		c, err := new(net.Dialer).DialContext(x.Context(), "tcp", x.addr)
		x.check(err)
		all = append(all, c)
		x.check(ask(c, bufio.NewReader(c)))
	}
	return t.metric("process_resident_memory_bytes") / (1 << 20)
}
