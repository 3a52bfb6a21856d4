package load_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/load"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func run(t *testing.T, o load.Options) load.Tally {
	t.Helper()
	o.Timeout = time.Minute // the machine may be busy
	g, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g.Tally()
}

func sum[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func TestEachRequestIsCountedOnce(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if code, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/")); err == nil {
			w.WriteHeader(code)
		}
	}))
	defer server.Close()
	got := run(t, load.Options{
		URLs: []string{server.URL, server.URL + "/"}, Rate: 2000, Requests: 200, Methods: []string{"GET", "PUT"},
		Paths: []string{"/status/418", "/status/302", "/"}, Agents: []string{"a", "b"},
	})
	for name, n := range map[string]int{
		"sent": got.Sent, "served": int(served.Load()), "by status": sum(got.ByStatus), "by method": sum(got.ByMethod),
		"by path": sum(got.ByPath), "by URL": sum(got.ByURL), "by agent": sum(got.ByAgent),
	} {
		if n != 200 {
			t.Errorf("%s: %d, want 200", name, n)
		}
	}
	if got.ByStatus[418] != got.ByPath["/status/418"] || got.ByStatus[302] == 0 || len(got.ByMethod) != 2 || len(got.ByAgent) != 2 {
		t.Errorf("tally %+v", got)
	}
	if got.MinSeconds <= 0 || got.MinSeconds > got.MeanSeconds || got.MeanSeconds > got.MaxSeconds || got.Seconds < got.MaxSeconds {
		t.Errorf("times %+v", got)
	}
}

func TestASeedRepeatsTheLoad(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	o := load.Options{URLs: []string{server.URL}, Rate: 2000, Requests: 100, Seed: 7}
	a, b := run(t, o), run(t, o)
	if len(a.ByPath) < 5 || len(a.ByPath) != len(b.ByPath) {
		t.Fatalf("%v, %v", a.ByPath, b.ByPath)
	}
	for path, n := range a.ByPath {
		if b.ByPath[path] != n {
			t.Errorf("%s: %d and %d", path, n, b.ByPath[path])
		}
	}
}

func TestTheLoadEnds(t *testing.T) {
	got := run(t, load.Options{URLs: []string{"http://127.0.0.1:1"}, Rate: 100, Duration: 50 * time.Millisecond})
	if got.Sent != got.ByStatus[0] {
		t.Errorf("no answer is status 0: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g, err := load.New(load.Options{URLs: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(ctx); err != nil || g.Tally().Sent != 0 {
		t.Errorf("%v, %+v", err, g.Tally())
	}
	for _, o := range []load.Options{{}, {URLs: []string{"a:1"}}, {URLs: []string{"http://a"}, Rate: -1}, {URLs: []string{"http://a"}, Duration: -1}} {
		if _, err := load.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
