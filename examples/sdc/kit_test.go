package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/examples/internal/sdc/load"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// process is a role that runs as a program does.
type process struct {
	http, grpc, admin string
	stop              func() // ends it as SIGTERM does, and waits
	log               *testutil.Output
}

var readyLine = regexp.MustCompile(`is ready: HTTP (\S+), gRPC (\S*), admin (\S+)`)

// start runs a role on free ports until it is stopped, at the latest at the
// end of the test.
func start(t testing.TB, role string, args ...string) *process {
	t.Helper()
	args = append([]string{role, "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--grace", "60s"}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	var stdout testutil.Output
	p := &process{log: &testutil.Output{}}
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, &stdout, p.log) }()
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("sdc %s: %v\n%s", role, err, p.log)
		}
	}
	t.Cleanup(p.stop)
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		m := readyLine.FindStringSubmatch(stdout.String())
		if m == nil {
			return false, stdout.String() + p.log.String()
		}
		p.http, p.grpc, p.admin = m[1], m[2], m[3]
		code, _ := get(t, "http://"+p.admin+"/readyz")
		return code == http.StatusOK, "not ready"
	})
	return p
}

// client keeps no connections.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

// get asks with the headers given as name and value in turn.
func get(t testing.TB, url string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	check(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(data)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// metric sums the values of a metric whose line holds the label's text.
func (p *process) metric(t *testing.T, name, label string) int {
	t.Helper()
	_, body := get(t, "http://"+p.admin+"/metrics")
	sum := 0.0
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, name) || !strings.Contains(line, label) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		check(t, err)
		sum += value
	}
	return int(sum)
}

// served is how many requests and calls a role has answered.
func (p *process) served(t *testing.T) int { return p.metric(t, "clover_sdc_requests_total{", "") }

// sendLoad runs the load generator to its end, or that of ctx.
func sendLoad(ctx context.Context, t *testing.T, p *process, args ...string) load.Tally {
	t.Helper()
	var stdout, stderr bytes.Buffer
	check(t, run(ctx, append([]string{"load", "--url", "http://" + p.http, "--timeout", "60s"}, args...), &stdout, &stderr))
	var tally load.Tally
	check(t, json.Unmarshal(stdout.Bytes(), &tally))
	return tally
}

// dial connects to the control of a role; nil credentials are plaintext.
func dial(t testing.TB, p *process, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(creds))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return conn
}

// chain is the sample with a process a service.
type chain struct {
	proxy, ids *process
	lbs        []*process
	servers    []*process
}

// startChain starts the sample; more are flags of every role.
func startChain(t *testing.T, redis string, more ...string) *chain {
	t.Helper()
	c := &chain{}
	var addrs []string
	for i := range 5 {
		name := "clover-server" + strconv.Itoa(i+1)
		c.servers = append(c.servers, start(t, "server", append([]string{"--name", name}, more...)...))
		addrs = append(addrs, c.servers[i].http)
	}
	for _, version := range []string{"v1", "v2"} {
		lb := start(t, "lb", append([]string{"--version", version, "--servers", strings.Join(addrs[:3], ",")}, more...)...)
		c.lbs = append(c.lbs, lb)
	}
	// The proxy and the IDS name each other.
	idsAddr := testutil.FreeAddr(t)
	c.proxy = start(t, "proxy", append([]string{"--upstream", c.lbs[0].http, "--mirror", idsAddr, "--mirror-timeout", "60s", "--trusted-hops", "1", "--redis", redis}, more...)...)
	c.ids = start(t, "ids", append([]string{"--http-addr", idsAddr, "--alerts", c.proxy.grpc, "--redis", redis}, more...)...)
	return c
}

// settle waits until each copy and each alert has come to its end.
func (c *chain) settle(t *testing.T, requests int) {
	t.Helper()
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		mirrored := c.proxy.metric(t, "clover_sdc_mirrored_total{", "")
		return mirrored == requests, strconv.Itoa(mirrored) + " copies of " + strconv.Itoa(requests)
	})
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		seen, over := c.ids.metric(t, "clover_sdc_alerts_seen_total", ""), c.ids.metric(t, "clover_sdc_alerts_total{", `sink="proxy"`)
		return seen == over, strconv.Itoa(over) + " alerts of " + strconv.Itoa(seen)
	})
}

// stop ends the chain from its front, so that nothing is cut off.
func (c *chain) stop() {
	for _, p := range append([]*process{c.ids, c.proxy}, append(c.lbs, c.servers...)...) {
		p.stop()
	}
}
