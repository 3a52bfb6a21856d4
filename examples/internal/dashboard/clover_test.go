package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/examples/internal/sdc"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
)

func TestMain(m *testing.M) { leak.Main(m) }

// clover is the whole of Clover in this process, as the program standalone
// assembles it. It can be stopped and started again.
type clover struct {
	t    *testing.T
	opts node.Options

	mu    sync.Mutex
	addrs node.Addrs
	stop  func()
	tally sdc.Tally
}

// start runs Clover until the test ends.
func start(t *testing.T, o node.Options) *clover {
	t.Helper()
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	o.Dashboard, o.Logger = true, testutil.Logger(t)
	// Those that it is started at again are nobody else's meanwhile.
	o.GRPCAddr, o.RESTAddr, o.OTLPGRPC, o.OTLPHTTP = "127.0.0.1:0", testutil.FreeAddr(t), testutil.FreeAddr(t), "-"
	c := &clover{t: t, opts: o}
	c.begin()
	t.Cleanup(func() { c.end() })
	return c
}

// begin starts Clover, each time at the same addresses.
func (c *clover) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	ready := make(chan node.Addrs, 1)
	c.opts.OnReady = func(a node.Addrs) { ready <- a }
	n, err := node.New(c.opts)
	if err != nil {
		c.t.Error(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	select {
	case c.addrs = <-ready:
	case err := <-done:
		cancel()
		c.t.Errorf("clover ended: %v", err)
		return
	}
	c.stop = func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("clover ended: %v", err)
		}
	}
}

// end stops Clover if it runs.
func (c *clover) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// url is where the dashboard is.
func (c *clover) url() string { return c.addrs.Scheme + "://" + c.addrs.REST }

// send sends a number of requests through the sample mesh, and the spans of
// all of its services to Clover, as if that had been so long ago. It returns
// when they are stored, and adds to the tally.
func (c *clover) send(ctx context.Context, requests int, ago time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.export(ctx, func(report func(...tracing.Span) int) error {
		before := func(spans ...tracing.Span) int {
			for i := range spans {
				spans[i].Start = spans[i].Start.Add(-ago)
			}
			return report(spans...)
		}
		sample, err := sdc.New(before, sdc.Options{Rate: 400, Requests: requests, Seed: 11 + uint64(ago)})
		if err != nil {
			return err
		}
		running, stop := context.WithCancel(ctx)
		defer stop()
		done := make(chan error, 1)
		go func() { done <- sample.Run(running) }()
		select {
		case <-sample.LoadDone():
		case <-ctx.Done():
		}
		stop()
		err = <-done
		c.mu.Lock()
		defer c.mu.Unlock()
		add(&c.tally, sample.Tally())
		return err
	})
}

// export lets spans be reported by OTLP, and waits until they are stored.
func (c *clover) export(ctx context.Context, report func(func(...tracing.Span) int) error) error {
	exporter, err := tracing.NewExporter(c.addrs.OTLPGRPC, tracing.ExporterOptions{DrainTimeout: time.Minute})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- exporter.Run(running) }()
	err = report(exporter.Export)
	stop() // it sends what it has before it ends
	if exported := <-done; err == nil {
		err = exported
	}
	return err
}

// add adds the counts of b to a.
func add(a *sdc.Tally, b sdc.Tally) {
	a.Sent += b.Sent
	a.ByStatus, a.ByPath = sum(a.ByStatus, b.ByStatus), sum(a.ByPath, b.ByPath)
	a.ByAgent, a.Served = sum(a.ByAgent, b.ByAgent), sum(a.Served, b.Served)
}

func sum[K comparable](a, b map[K]int) map[K]int {
	out := map[K]int{}
	for _, m := range []map[K]int{a, b} {
		for k, n := range m {
			out[k] += n
		}
	}
	return out
}

// control lets what drives the browser ask for the tally, send requests, and
// stop and start Clover.
func (c *clover) control() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tally", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = json.NewEncoder(w).Encode(c.tally) // the test went away
	})
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("requests"))
		if err == nil {
			err = c.send(r.Context(), n, 0)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) { c.end() })
	mux.HandleFunc("POST /start", func(http.ResponseWriter, *http.Request) { c.begin() })
	srv := httptest.NewServer(mux)
	c.t.Cleanup(srv.Close)
	return srv
}

// guarded are the options of a Clover that asks for tokens.
func guarded(t *testing.T) node.Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("token-of-the-reader,rita,reader\ntoken-of-the-operator,olaf,operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.NewTokens(file, testutil.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return node.Options{API: server.Options{Authenticator: tokens}}
}
