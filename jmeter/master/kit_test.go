package master_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/jmeter/master"
)

func TestMain(m *testing.M) { leak.Main(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a master whose tests may reach this machine. stop ends it, as the
// end of the test does.
func open(t *testing.T, o master.Options) (m *master.Master, stop func()) {
	t.Helper()
	o.Logger = testutil.Logger(t)
	if o.Targets.Allow == nil {
		o.Targets.Allow = []string{"127.0.0.1"}
	}
	m, err := master.New(o)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return m, stop
}

// web is a server that counts requests. A path that ends in /hold waits until
// release is closed.
type web struct {
	*httptest.Server
	mu      sync.Mutex
	count   int64
	release chan struct{}
}

func newWeb(t *testing.T) *web {
	t.Helper()
	w := &web{release: make(chan struct{})}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.count++
		w.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/hold") {
			select {
			case <-w.release:
			case <-r.Context().Done():
			}
		}
		_, _ = rw.Write([]byte("hello"))
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *web) requests() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// plan gives a master a plan in which ADDR is the server's address.
func plan(t *testing.T, m *master.Master, w *web, name, text string) {
	t.Helper()
	_, err := m.SetPlan(master.Plan{Name: name, Text: strings.ReplaceAll(text, "ADDR", w.URL)})
	check(t, err)
}

// limit is how long is waited for what happens at once.
const limit = 2 * time.Minute

// reaches waits until a run is in a state.
func reaches(t *testing.T, m *master.Master, id string, want master.State) master.Run {
	t.Helper()
	var run master.Run
	testutil.Eventually(t, limit, func() (bool, string) {
		var err error
		run, err = m.Get(id)
		check(t, err)
		return run.State == want, string(run.State) + " " + run.Problem
	})
	return run
}

// measures waits until a run has more than so many results. Those of requests
// that have arrived may be missing yet.
func measures(t *testing.T, m *master.Master, id string, more int64) {
	t.Helper()
	testutil.Eventually(t, limit, func() (bool, string) {
		run, err := m.Get(id)
		check(t, err)
		return run.Numbers.Count > more, fmt.Sprintf("%s, %d results", run.State, run.Numbers.Count)
	})
}

// copyWhole copies the folder of a master that runs. A file that is replaced
// meanwhile has a name of its own for a moment, which may be gone when it is
// its turn: then the copy is made anew.
func copyWhole(t *testing.T, dir string) string {
	t.Helper()
	for {
		then := t.TempDir()
		err := os.CopyFS(then, os.DirFS(dir))
		if err == nil {
			return then
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func start(t *testing.T, m *master.Master, o master.StartOptions) master.Run {
	t.Helper()
	run, err := m.Start(t.Context(), o)
	check(t, err)
	return run
}

// Plans of the tests: one that ends, one that goes on until it is stopped, and
// one whose only request does.
const (
	shortPlan = `
load_spec: {num_threads: 2, loops: 5}
criteria: ["errors == 0", "count == 20"]
url_list: [{name: url1, url: "ADDR/1"}, {name: url2, url: "ADDR/2"}]
`
	longPlan = `
load_spec: {num_threads: 2, loops: 0, duration: 600, think_time: 5ms}
url_list: [{name: long, url: "ADDR/long"}]
`
	heldPlan = `url_list: [{name: held, url: "ADDR/hold", timeout: 600s}]`
)
