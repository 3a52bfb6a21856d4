package drivertest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

// testLoad changes the driver again and again while clients of all kinds send
// requests, and holds what it promises.
func testLoad(k *kit) {
	l := newLoad(k)
	changes := k.Changes
	if changes == 0 {
		changes = 200
	}
	if text := os.Getenv("CLOVER_LB_CHANGES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			k.Fatalf("CLOVER_LB_CHANGES=%q; want a number of changes", text)
		}
		changes = n
		l.full = true
	}
	pause := k.Pause
	if pause == 0 {
		pause = 5 * time.Millisecond
	}
	k.apply(l.config(0))
	ctx, stop := context.WithCancel(k.Context())
	clients := l.start(ctx)
	for i := 1; i <= changes && !k.Failed(); i++ {
		l.change(i)
		time.Sleep(pause) // the pace of the changes, not a wait
	}
	testutil.Eventually(k, 10*time.Second, l.allSent)
	stop()
	clients.Wait()
	l.report(changes)
}

// busyFactor is how many times InEffect changes may take where the machine may
// be busy.
const busyFactor = 100

// load is the state of the test.
type load struct {
	k       *kit
	origins []*origin
	h2c     bool // the driver has HTTP/2 on both sides
	full    bool // CLOVER_LB_CHANGES is set

	// begun is the last change whose Apply was called, done the last whose
	// Apply has returned.
	begun, done atomic.Int64
	took        []time.Duration

	mu    sync.Mutex
	tally map[string]*tally
}

// tally is what a kind of client has seen.
type tally struct {
	requests, failed, misrouted int
	// reopened connections were closed by the load balancer while they were
	// idle, and the client noticed before it sent a request.
	reopened int
	first    string // what went wrong first
}

func newLoad(k *kit) *load {
	l := &load{k: k, origins: origins(k.T, 5), tally: map[string]*tally{}}
	unsupported := k.Driver.Describe().Unsupported
	_, noFront := unsupported[loadbalancer.FeatureH2C]
	_, noBack := unsupported[loadbalancer.FeatureServerH2C]
	l.h2c = !noFront && !noBack
	return l
}

// usable are the origins that change i lets requests go to: never none, and
// different from those of the changes beside it.
func (l *load) usable(i int64) []*origin {
	first := int(i) % len(l.origins)
	n := 1 + int(i/5)%3
	list := make([]*origin, 0, n)
	for j := range n {
		list = append(list, l.origins[(first+j)%len(l.origins)])
	}
	return list
}

// config is change i: servers come and go, are drained and down, change their
// weights and the method.
func (l *load) config(i int64) loadbalancer.Config {
	unsupported := l.k.Driver.Describe().Unsupported
	may := func(f loadbalancer.Feature) bool { _, no := unsupported[f]; return !no }
	g := group("web", l.usable(i))
	for j := range g.Servers {
		g.Servers[j].Weight = 1 + (int(i)+j)%3
	}
	if i%3 == 1 {
		next := l.origins[(int(i)+len(g.Servers))%len(l.origins)]
		out := loadbalancer.Server{Address: next.addr, State: loadbalancer.Down}
		if i%2 == 0 && may(loadbalancer.FeatureDrain) {
			out.State = loadbalancer.Drain
		}
		g.Servers = append(g.Servers, out)
	}
	switch {
	case i%4 == 1 && may(loadbalancer.FeatureLeastConnections):
		g.Method = loadbalancer.LeastConnections
	case i%4 == 3 && may(loadbalancer.FeatureHash):
		g.Method, g.Hash = loadbalancer.Hash, loadbalancer.HashKey{Source: loadbalancer.HashURI}
	}
	c := l.k.config(g)
	if l.h2c {
		streams := g
		streams.Name, streams.Protocol = "grpc", loadbalancer.H2C
		streams.Servers = slices.Clone(g.Servers)
		c.Groups = append(c.Groups, streams)
		c.Routes = append(c.Routes, loadbalancer.Route{Path: "/echo.Echo", Group: "grpc"})
	}
	return c
}

// change makes change i, and looks at once whether it is in effect for a new
// connection.
func (l *load) change(i int) {
	c := l.config(int64(i))
	l.begun.Store(int64(i))
	start := time.Now()
	_, err := l.k.Driver.Apply(l.k.Context(), c)
	l.took = append(l.took, time.Since(start))
	if err != nil {
		l.k.Errorf("change %d: %v", i, err)
		return
	}
	l.done.Store(int64(i))
	l.once(l.k.Context(), "probe after each change", func(ctx context.Context) (string, error) {
		r, err := l.k.send(ctx, call{path: "/probe"})
		return r.origin, statusError(r, err)
	})
}

func statusError(r reply, err error) error {
	if err == nil && r.status != 200 {
		return fmt.Errorf("status %d", r.status)
	}
	return err
}

// once sends a request and counts it. A request is misrouted if none of the
// configurations that were in effect between its begin and the head of its
// response allows its origin.
func (l *load) once(ctx context.Context, kind string, send func(context.Context) (origin string, err error)) {
	from := l.done.Load()
	origin, err := send(ctx)
	if ctx.Err() != nil {
		return // the test is over
	}
	l.count(kind, l.verdict(from, origin, err), err)
}

// verdict of a request.
type verdict int

const (
	good verdict = iota
	failed
	misrouted
)

func (l *load) verdict(from int64, name string, err error) verdict {
	if err != nil {
		return failed
	}
	for i := from; i <= l.begun.Load(); i++ {
		if slices.ContainsFunc(l.usable(i), func(o *origin) bool { return o.name == name }) {
			return good
		}
	}
	return misrouted
}

// of returns a kind's tally. l.mu is held.
func (l *load) of(kind string) *tally {
	if l.tally[kind] == nil {
		l.tally[kind] = &tally{}
	}
	return l.tally[kind]
}

func (l *load) count(kind string, v verdict, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(kind)
	t.requests++
	switch v {
	case failed:
		t.failed++
		if t.first == "" {
			t.first = err.Error()
		}
	case misrouted:
		t.misrouted++
	}
}

func (l *load) reopened(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(kind).reopened++
}

// report holds the driver to its promise.
// allSent says whether a client of each kind has sent something.
func (l *load) allSent() (ok bool, state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, t := range l.tally {
		if t.requests == 0 {
			return false, kind + ": no request has ended"
		}
	}
	return true, ""
}

func (l *load) report(changes int) {
	k := l.k
	if len(l.took) == 0 {
		return // the test has failed before its first change
	}
	slices.Sort(l.took)
	p99 := l.took[len(l.took)*99/100]
	k.Logf("%d changes: in effect after %s (median), %s (99th percentile), %s (longest)",
		changes, l.took[len(l.took)/2], p99, l.took[len(l.took)-1])
	// A short run is one of many on a machine that may be busy with others: it
	// holds only that a change does not wait for something.
	held, want := l.took[len(l.took)/2], busyFactor*k.InEffect
	if l.full {
		held, want = p99, k.InEffect
	}
	if k.InEffect > 0 && held > want {
		k.Errorf("changes are in effect after %s, want %s", held, want)
	}
	promise := k.Driver.Describe().Promise
	k.Logf("promise: loses none: %t (%s)", promise.LosesNone, promise.Reason)
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(l.tally)) {
		t := l.tally[kind]
		fmt.Fprintf(&b, "\n%-26s %7d requests, %d failed, %d misrouted, %d idle connections reopened", kind, t.requests, t.failed, t.misrouted, t.reopened)
		if t.first != "" {
			b.WriteString("; first: " + t.first)
		}
		if t.requests == 0 || t.misrouted > 0 || t.failed > 0 && promise.LosesNone {
			k.Errorf("%s: %d requests, %d failed, %d misrouted", kind, t.requests, t.failed, t.misrouted)
		}
	}
	k.Log(b.String())
}
