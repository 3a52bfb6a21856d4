package clovisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/internal/testutil"
)

// limit is how long something is waited for.
const limit = 30 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seen keeps the sessions of a Tracer.
type seen struct {
	mu       sync.Mutex
	sessions []session.Session
	places   []export.Place
}

func (s *seen) Session(x *session.Session, p export.Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions, s.places = append(s.sessions, *x), append(s.places, p)
	return nil
}

// lines are the sessions as "METHOD URL STATUS OUTCOME".
func (s *seen) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for i := range s.sessions {
		x := &s.sessions[i]
		out = append(out, fmt.Sprintf("%s %s %d %s", x.Method, x.URL(), x.Status, x.Outcome))
	}
	return out
}

// settable is a Source whose set a test changes.
type settable struct{ sets chan target.Set }

func newSettable(first target.Set) *settable {
	s := &settable{sets: make(chan target.Set, 8)}
	s.sets <- first
	return s
}

func (s *settable) Run(ctx context.Context, update func(target.Set)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case set := <-s.sets:
			update(set)
		}
	}
}

var names atomic.Int64

// run runs a Tracer, that is prepared before, until end is called, at the
// latest at the end of the test.
func run(t testing.TB, o Options, prepare ...func(*Tracer)) (tracer *Tracer, end func()) {
	t.Helper()
	o.Kernel.Name = fmt.Sprintf("root-%d-%d", os.Getpid(), names.Add(1))
	o.Logger = testutil.Logger(t)
	tracer, err := New(o)
	if errors.Is(err, fs.ErrPermission) {
		testutil.Missing(t, "programs in the kernel", err.Error())
	}
	check(t, err)
	for _, p := range prepare {
		p(tracer)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tracer.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(end)
	testutil.Eventually(t, limit, func() (bool, string) {
		err := tracer.Ready()
		return err == nil, fmt.Sprint(err)
	})
	return tracer, end
}

// serve answers requests on a listener: /status/N by that status.
func serve(t testing.TB, l net.Listener) {
	t.Helper()
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		_, _ = fmt.Sscanf(r.URL.Path, "/status/%d", &status)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "hello\n")
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}

// get makes requests on one connection.
func get(t testing.TB, urls ...string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, url := range urls {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		check(t, err)
		req.Header.Set("User-Agent", "test")
		res, err := (&http.Client{Transport: transport}).Do(req)
		check(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		check(t, err)
		check(t, res.Body.Close())
	}
}

// pod is a target as of a pod whose link is that of the namespace.
func pod(ns *testutil.NetNamespace, ports ...target.Port) target.Target {
	return target.Target{
		ID: "uid-" + ns.Name, Interface: ns.HostInterface, Ports: ports,
		Workload: target.Workload{Namespace: "default", Pod: ns.Name, Kind: "Deployment", Name: "web", Node: "node-1"},
	}
}

func httpPort(n uint16) target.Port {
	return target.Port{Number: n, Transport: packet.TCP, Protocol: "http", Service: "web-service"}
}

// shows waits until all these sessions have been seen, in any order.
func (s *seen) shows(t testing.TB, want ...string) {
	t.Helper()
	testutil.Eventually(t, limit, func() (bool, string) {
		got := strings.Join(s.lines(), "\n")
		for _, w := range want {
			if !strings.Contains(got, w) {
				return false, fmt.Sprintf("no %q in\n%s", w, got)
			}
		}
		return true, ""
	})
}
