package drivertest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

// between fails unless n is in the range.
func (k *kit) between(what string, n, from, to int) {
	k.Helper()
	if n < from || n > to {
		k.Errorf("%s: %d, want %d to %d", what, n, from, to)
	}
}

func testRoundRobin(k *kit) {
	k.apply(k.config(group("web", origins(k.T, 3))))
	for name, n := range k.tally(300, plain) {
		k.between("requests of "+name, n, 95, 105)
	}
}

func testWeights(k *kit) {
	list := origins(k.T, 3)
	g := group("web", list)
	for i := range g.Servers {
		g.Servers[i].Weight = i + 1
	}
	k.apply(k.config(g))
	count := k.tally(600, plain)
	for i, o := range list {
		k.between("requests of "+o.name, count[o.name], 90*(i+1), 110*(i+1))
	}
	// Another weight counts at once, and the servers are still the same.
	g.Servers[0].Weight = 7
	k.apply(k.config(g))
	count = k.tally(600, plain)
	k.between("requests of a with weight 7", count["a"], 330, 370)
}

// holdAt sends n requests that stay under way, and waits until they are.
func (k *kit) holdAt(n int, list ...*origin) (wait func()) {
	k.Helper()
	before := held(list)
	done := make(chan error, n)
	for range n {
		go func() {
			r, err := k.send(k.Context(), call{path: "/", header: http.Header{doHeader: {"hold"}}})
			if err == nil && r.status != http.StatusOK {
				err = fmt.Errorf("status %d", r.status)
			}
			done <- err
		}()
	}
	testutil.Eventually(k, 10*time.Second, func() (bool, string) {
		now := held(list)
		return now == before+n, fmt.Sprintf("%d of %d requests are under way", now-before, n)
	})
	return func() {
		k.Helper()
		for range n {
			if err := <-done; err != nil {
				k.Errorf("a request under way: %v", err)
			}
		}
	}
}

func held(list []*origin) int {
	n := 0
	for _, o := range list {
		n += o.held()
	}
	return n
}

func testLeastConnections(k *kit) {
	list := origins(k.T, 2)
	g := group("web", list)
	g.Method = loadbalancer.LeastConnections
	k.apply(k.config(g))
	// One after another: requests that arrive at once may be placed before
	// they are counted.
	var waits []func()
	for range 6 {
		waits = append(waits, k.holdAt(1, list...))
	}
	for _, o := range list {
		k.between("under way at "+o.name, o.held(), 3, 3)
	}
	// What ends at one of them makes room there. The driver learns of the end
	// later than the origin, so a few may still go to the other meanwhile.
	list[0].release()
	testutil.Eventually(k, 10*time.Second, func() (bool, string) { return list[0].held() == 0, "requests are still under way" })
	for len(waits) < 30 && list[0].held() < list[1].held() {
		waits = append(waits, k.holdAt(1, list...))
	}
	k.between("under way at a", list[0].held(), list[1].held(), list[1].held())
	list[0].release()
	list[1].release()
	for _, wait := range waits {
		wait()
	}
}

func testTwoChoices(k *kit) {
	list := origins(k.T, 4)
	g := group("web", list)
	g.Method = loadbalancer.RandomTwoChoices
	k.apply(k.config(g))
	for name, n := range k.tally(400, plain) {
		k.between("requests of "+name, n, 50, 150)
	}
	if !k.can(loadbalancer.FeatureCounts) {
		return
	}
	// A server that is busy loses against any other: it is chosen only when
	// it is drawn twice, if the driver draws with putting back.
	g.Servers = g.Servers[:1]
	k.apply(k.config(g))
	wait := k.holdAt(20, list...)
	k.apply(k.config(func() loadbalancer.Group { g := group("web", list); g.Method = loadbalancer.RandomTwoChoices; return g }()))
	k.between("requests of the busy one", k.tally(200, plain)["a"], 0, 30)
	list[0].release()
	wait()
}

func testHash(k *kit) {
	list := origins(k.T, 5)
	g := group("web", list)
	g.Method, g.Hash = loadbalancer.Hash, loadbalancer.HashKey{Source: loadbalancer.HashHeader, Name: "X-User"}
	k.apply(k.config(g))
	const keys = 200
	request := func(i int) call {
		return call{path: fmt.Sprintf("/%d", i), header: http.Header{"X-User": {fmt.Sprintf("user-%d", i)}}}
	}
	before, count := k.sequence(keys, request), map[string]int{}
	for _, name := range before {
		count[name]++
	}
	for _, o := range list {
		k.between("keys of "+o.name, count[o.name], keys/5/3, keys/5*2)
	}
	for i, now := range k.sequence(20, request) {
		if now != before[i] {
			k.Errorf("key %d moved from %s to %s without a change", i, before[i], now)
		}
	}
	g.Servers = g.Servers[:4]
	k.apply(k.config(g))
	moved := 0
	for i, now := range k.sequence(keys, request) {
		if before[i] != "e" && now != before[i] {
			moved++
		}
	}
	// Rings of a fixed number of places move a few more.
	k.between("keys moved that were not of the server removed", moved, 0, keys/20)
}

func testHashSources(k *kit) {
	list := origins(k.T, 4)
	for _, test := range []struct {
		key  loadbalancer.HashKey
		same func(i int) call // one key
		all  func(i int) call // many; nil: a test has only one
	}{
		{loadbalancer.HashKey{Source: loadbalancer.HashCookie, Name: "session"},
			func(i int) call {
				return call{path: fmt.Sprintf("/%d", i), header: http.Header{"Cookie": {"session=s1"}}}
			},
			func(i int) call {
				return call{path: "/", header: http.Header{"Cookie": {fmt.Sprintf("other=1; session=s%d", i)}}}
			}},
		{loadbalancer.HashKey{Source: loadbalancer.HashURI},
			func(int) call { return call{path: "/same?q=1"} },
			func(i int) call { return call{path: fmt.Sprintf("/same?q=%d", i)} }},
		{loadbalancer.HashKey{}, func(i int) call { return call{path: fmt.Sprintf("/%d", i)} }, nil},
	} {
		g := group("web", list)
		g.Method, g.Hash = loadbalancer.Hash, test.key
		k.apply(k.config(g))
		if count := k.tally(30, test.same); len(count) != 1 {
			k.Errorf("%v: one key went to %v", test.key, count)
		}
		if test.all == nil {
			continue
		}
		if count := k.tally(200, test.all); len(count) != len(list) {
			k.Errorf("%v: 200 keys went to %v", test.key, count)
		}
	}
}

func testDown(k *kit) {
	list := origins(k.T, 2)
	g := group("web", list)
	g.Servers[0].State = loadbalancer.Down
	k.apply(k.config(g))
	if count := k.tally(20, plain); count["a"] != 0 {
		k.Errorf("%v; a is down", count)
	}
	g.Servers[1].State = loadbalancer.Down
	k.apply(k.config(g))
	k.between("status with all down", k.status(call{path: "/"}), 502, 503)
	g.Servers[0].State = loadbalancer.Up
	k.apply(k.config(g))
	if count := k.tally(20, plain); count["a"] != 20 {
		k.Errorf("%v; a is up again", count)
	}
}

// underWay applies a change while requests are under way at the first origin,
// which gets no more, and lets them end.
func (k *kit) underWay(list []*origin, change loadbalancer.Group) {
	k.Helper()
	g := group("web", list[:1])
	k.apply(k.config(g))
	wait := k.holdAt(4, list...)
	list[0].taken()
	k.apply(k.config(change))
	k.tally(50, plain)
	k.between("new requests", list[0].taken(), 0, 0)
	k.between("requests still under way", list[0].held(), 4, 4)
	list[0].release()
	wait()
}

func testDrain(k *kit) {
	list := origins(k.T, 2)
	g := group("web", list)
	g.Servers[0].State = loadbalancer.Drain
	k.underWay(list, g)
}

func testRemoved(k *kit) {
	list := origins(k.T, 2)
	k.underWay(list, group("web", list[1:]))
}

func testBackup(k *kit) {
	list := origins(k.T, 3)
	g := group("web", list)
	g.Servers[2].Backup = true
	k.apply(k.config(g))
	if count := k.tally(30, plain); count["c"] != 0 {
		k.Errorf("%v; c is a backup", count)
	}
	g.Servers[0].State, g.Servers[1].State = loadbalancer.Down, loadbalancer.Down
	k.apply(k.config(g))
	if count := k.tally(30, plain); count["c"] != 30 {
		k.Errorf("%v; only the backup is up", count)
	}
}

func testSlowStart(k *kit) {
	list := origins(k.T, 2)
	g := group("web", list)
	k.apply(k.config(func() loadbalancer.Group { g := group("web", list[:1]); return g }()))
	g.Servers[1].SlowStart = time.Minute
	k.apply(k.config(g))
	count := k.tally(200, plain)
	k.between("requests of the server that starts", count["b"], 0, 40)
	// Without a slow start the server has its share at once.
	g.Servers[1].SlowStart = 0
	k.apply(k.config(g))
	k.between("requests of the server that has started", k.tally(200, plain)["b"], 80, 120)
}

func testMaxConnections(k *kit) {
	list := origins(k.T, 2)
	g := group("web", list)
	g.Servers[0].MaxConnections, g.Servers[1].MaxConnections = 2, 3
	k.apply(k.config(g))
	wait := k.holdAt(5, list...)
	k.between("under way at a", list[0].held(), 2, 2)
	k.between("under way at b", list[1].held(), 3, 3)
	k.between("status when all are full", k.status(call{path: "/"}), 502, 503)
	list[0].release()
	testutil.Eventually(k, 10*time.Second, func() (bool, string) {
		r, err := k.send(k.Context(), call{path: "/"})
		return err == nil && r.status == http.StatusOK && r.origin == "a", fmt.Sprint(r.status, err)
	})
	list[1].release()
	wait()
}

func testQueue(k *kit) {
	list := origins(k.T, 1)
	g := group("web", list)
	g.Servers[0].MaxConnections = 1
	g.Queue = loadbalancer.Queue{Length: 2, Timeout: 20 * time.Second}
	k.apply(k.config(g))
	wait := k.holdAt(1, list...)
	results := make(chan reply, 3)
	for range 3 {
		go func() {
			r, err := k.send(k.Context(), call{path: "/"})
			if err != nil {
				r.status = -1
			}
			results <- r
		}()
	}
	// Two find a place to wait, the third does not.
	if r := <-results; r.status < 502 || r.status > 503 {
		k.Errorf("status %d with the queue full, want 503", r.status)
	}
	list[0].release()
	wait()
	for range 2 {
		if r := <-results; r.status != http.StatusOK {
			k.Errorf("status %d of a request that waited", r.status)
		}
	}
}

// testDeadServer: a server that nothing listens on costs no request.
func testDeadServer(k *kit) {
	list := origins(k.T, 3)
	list[1] = newOrigin(k.T, "b", testutil.FreeAddr(k.T)) // nobody else gets its port when it is dead
	k.apply(k.config(group("web", list)))
	list[1].stop()
	if count := k.tally(60, plain); count["b"] != 0 {
		k.Errorf("%v; b is dead", count)
	}
	// A new one too, with bodies that no server has seen.
	k.apply(k.config(group("web", append([]*origin{list[1]}, list[2]))))
	k.tally(10, func(int) call { return call{method: http.MethodPost, path: "/", body: "body"} })
}

func testHealthCheck(k *kit) {
	list := origins(k.T, 2)
	g := group("web", list)
	g.Health = loadbalancer.HealthCheck{Path: "/healthz", Interval: 50 * time.Millisecond, Timeout: 30 * time.Second, Fall: 2, Rise: 2}
	k.apply(k.config(g))
	until := func(what string, ok func(map[string]int) bool) {
		k.Helper()
		testutil.Eventually(k, 20*time.Second, func() (bool, string) {
			count := k.tally(20, plain)
			return ok(count), fmt.Sprintf("%s: %v", what, count)
		})
	}
	list[0].setSick(true)
	until("a fails its checks", func(c map[string]int) bool { return c["a"] == 0 })
	list[0].setSick(false)
	until("a is well again", func(c map[string]int) bool { return c["a"] > 5 })
}
