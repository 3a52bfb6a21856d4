package proxy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// benchEnv makes this test's program a proxy on one processor, for
// BenchmarkBesideNginx: "LISTEN SERVER SERVER".
const benchEnv = "CLOVER_BENCH_PROXY"

func TestMain(m *testing.M) {
	if addresses := os.Getenv(benchEnv); addresses != "" {
		if err := serveBench(strings.Fields(addresses)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	verify(m)
}

func benchConfig(addresses []string) loadbalancer.Config {
	g := loadbalancer.Group{Name: "web"}
	for _, a := range addresses[1:] {
		g.Servers = append(g.Servers, loadbalancer.Server{Address: a})
	}
	return loadbalancer.Config{
		Listeners: []loadbalancer.Listener{{Address: addresses[0]}},
		Groups:    []loadbalancer.Group{g}, Routes: []loadbalancer.Route{{Path: "/", Group: "web"}},
	}
}

func serveBench(addresses []string) error {
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := proxy.New(proxy.Options{})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	if _, err := p.Apply(ctx, benchConfig(addresses)); err != nil {
		return err
	}
	return <-ended
}

// nginxConf is one worker that answers at two addresses, or that balances
// between them.
const nginxConf = `daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  %[2]s
}`

func nginxOrigin(addresses ...string) string {
	var b strings.Builder
	for _, a := range addresses {
		fmt.Fprintf(&b, "server { listen %s; location / { return 200 \"%s\\n\"; } }\n", a, strings.Repeat("a small body ", 8))
	}
	return b.String()
}

func nginxBalancer(listen string, servers ...string) string {
	return fmt.Sprintf(`upstream web { server %s; keepalive 256; keepalive_requests 1000000000; }
  server { listen %s; location / {
    proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  } }`, strings.Join(servers, "; server "), listen)
}

// BenchmarkBesideNginx gives the same load of wrk to nginx with one worker and
// to the proxy with one processor, in turns. Each round is one iteration:
//
//	go test -run '^$' -bench BesideNginx -benchtime 5x ./loadbalancer/proxy
//
// It reports the medians of both, and that of their ratio: requests a second,
// and on Linux the processor time that each has taken for a request.
func BenchmarkBesideNginx(b *testing.B) {
	nginx, wrk := testutil.Require(b, components.Nginx()), testutil.Require(b, components.Wrk())
	origins := []string{testutil.FreeAddr(b), testutil.FreeAddr(b)}
	beside, own := testutil.FreeAddr(b), testutil.FreeAddr(b)
	startNginx := func(name, conf, addr string) *testutil.Process {
		dir := b.TempDir()
		file := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(file, []byte(fmt.Sprintf(nginxConf, dir, conf)), 0o600); err != nil {
			b.Fatal(err)
		}
		p := testutil.Start(b, testutil.Command{Name: name, Path: nginx, Args: []string{"-c", file, "-e", filepath.Join(dir, "e")}})
		p.WaitReady(10*time.Second, answers(addr))
		return p
	}
	startNginx("origin", nginxOrigin(origins...), origins[0])
	other := startNginx("nginx", nginxBalancer(beside, origins...), beside)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	p := testutil.Start(b, testutil.Command{
		Name: "proxy", Path: self, Env: []string{benchEnv + "=" + strings.Join(append([]string{own}, origins...), " ")},
	})
	p.WaitReady(10*time.Second, answers(own))

	var rates, ownRates, ratios, costs, ownCosts, costRatios []float64
	b.ResetTimer()
	for b.Loop() {
		theirs, theirCost := measure(b, wrk, beside, other)
		ours, ourCost := measure(b, wrk, own, p)
		rates, ownRates, ratios = append(rates, theirs), append(ownRates, ours), append(ratios, ours/theirs)
		costs, ownCosts, costRatios = append(costs, theirCost), append(ownCosts, ourCost), append(costRatios, theirCost/ourCost)
	}
	b.ReportMetric(median(rates), "nginx-req/s")
	b.ReportMetric(median(ownRates), "proxy-req/s")
	b.ReportMetric(median(ratios), "ratio")
	if runtime.GOOS == "linux" {
		b.ReportMetric(median(costs), "nginx-cpu-µs/req")
		b.ReportMetric(median(ownCosts), "proxy-cpu-µs/req")
		b.ReportMetric(median(costRatios), "cpu-ratio")
	}
}

// measure loads an address, and returns requests a second and the processor
// time of the process that answers, in µs a request.
func measure(b *testing.B, wrk, addr string, p *testutil.Process) (perSecond, cost float64) {
	before := cpuTime(b, p)
	perSecond, requests := rate(b, wrk, addr)
	return perSecond, float64((cpuTime(b, p) - before).Microseconds()) / requests
}

// cpuTime is the processor time that a process has had, on Linux.
func cpuTime(b *testing.B, p *testutil.Process) time.Duration {
	if runtime.GOOS != "linux" {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		b.Fatal(err)
	}
	// After the name in brackets, utime and stime are the 12th and 13th field,
	// in hundredths of a second.
	_, rest, _ := strings.Cut(string(text), ") ")
	var ticks int
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func answers(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	}
}

var wrkRate = regexp.MustCompile(`([0-9]+) requests in (?s:.*)Requests/sec: +([0-9.]+)`)

// rate loads an address for three seconds, and returns requests a second, and
// how many there were.
func rate(b *testing.B, wrk, addr string) (perSecond, requests float64) {
	out, err := exec.CommandContext(b.Context(), wrk, "-t1", "-c64", "-d3s", "http://"+addr+"/").CombinedOutput()
	if err != nil {
		b.Fatalf("wrk: %v\n%s", err, out)
	}
	m := wrkRate.FindSubmatch(out)
	if m == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		b.Fatalf("wrk:\n%s", out)
	}
	requests, err = strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	perSecond, err = strconv.ParseFloat(string(m[2]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return perSecond, requests
}

// BenchmarkServe is the proxy's own work on a request, client, server and
// proxy in one process.
func BenchmarkServe(b *testing.B) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("a small body ", 8)))
	}))
	defer origin.Close()
	p := proxy.New(proxy.Options{})
	c := benchConfig([]string{"", origin.Listener.Addr().String()})
	c.Listeners = nil
	if _, err := p.Apply(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	front := httptest.NewServer(p)
	defer front.Close()
	client := front.Client()
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, front.URL, nil)
		if err != nil {
			b.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		res.Body.Close()
	}
}

// BenchmarkApply is a change of one server in a group of 100.
func BenchmarkApply(b *testing.B) {
	p := proxy.New(proxy.Options{})
	g := loadbalancer.Group{Name: "web"}
	for i := range 100 {
		g.Servers = append(g.Servers, loadbalancer.Server{Address: fmt.Sprintf("10.0.0.%d:80", i)})
	}
	c := loadbalancer.Config{Groups: []loadbalancer.Group{g}, Routes: []loadbalancer.Route{{Group: "web"}}}
	i := 0
	for b.Loop() {
		i++
		c.Groups[0].Servers[0].Weight = 1 + i%10
		if _, err := p.Apply(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
