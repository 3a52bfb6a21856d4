package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/cookiejar"
	"strconv"
	"sync"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// user is one user of a group. It belongs to one goroutine.
type user struct {
	run    *run
	ctx    context.Context
	group  *group
	name   string
	end    time.Time // nothing begins after it; zero: no limit
	due    time.Time // when the next request was to be sent; zero: now
	vars   map[string]string
	once   map[*controller]bool
	counts map[*controller]*throughput
	data   []*dataReader
	jar    *cookiejar.Jar
	client client
	inside []*transaction
	acted  bool // this iteration has made a request
	sample jmeter.Sample
}

// transaction adds up the samples in it.
type transaction struct {
	start           time.Time
	elapsed         time.Duration
	samples, failed int
	bytes, sent     int64
}

func (r *run) newUser(ctx context.Context, g *group, number int) *user {
	u := &user{
		run: r, ctx: ctx, group: g, name: g.name + " " + strconv.Itoa(g.index) + "-" + strconv.Itoa(number),
		vars: map[string]string{}, data: make([]*dataReader, len(g.sets)),
	}
	for _, v := range r.program.plan.Variables {
		u.vars[v.Name] = jmeter.Expand(v.Value, u.value)
	}
	if g.jar {
		u.jar, _ = cookiejar.New(nil) // has no error
	}
	u.client.init(u)
	return u
}

func (u *user) close() {
	u.client.close()
	for i, d := range u.data {
		if d != nil && u.group.shared[i] == nil {
			d.close()
		}
	}
}

func (u *user) value(name string) (string, bool) {
	v, ok := u.vars[name]
	return v, ok
}

// goesOn reports whether something new may begin.
func (u *user) goesOn() bool {
	select {
	case <-u.run.stopping:
		return false
	default:
		return u.ctx.Err() == nil && (u.end.IsZero() || time.Now().Before(u.end))
	}
}

// iteration goes through the steps once.
func (u *user) iteration() bool {
	for i, set := range u.group.sets {
		d := u.group.shared[i]
		if d == nil {
			if u.data[i] == nil {
				own, err := openData(set)
				if err != nil { // it was opened before the run
					u.run.note(fmt.Sprintf("%s: users have ended early: data: %v", u.group.name, err))
					return false
				}
				u.data[i] = own
			}
			d = u.data[i]
		}
		if err := d.next(u.vars); err != nil {
			if !errors.Is(err, io.EOF) {
				u.run.note(fmt.Sprintf("%s: users have ended early: data: %s: %v", u.group.name, set.File, err))
			}
			return false
		}
	}
	return u.all(u.group.steps)
}

func (u *user) all(steps []step) bool {
	for _, s := range steps {
		if !s.do(u) {
			return false
		}
	}
	return true
}

func (c *controller) do(u *user) bool {
	switch c.Kind {
	case jmeter.IfController:
		if !c.holds(u) {
			return true
		}
	case jmeter.LoopController:
		for range c.Count {
			if !u.goesOn() || !u.all(c.steps) {
				return false
			}
		}
		return true
	case jmeter.OnceController:
		if u.once[c] {
			return true
		}
		if u.once == nil {
			u.once = map[*controller]bool{}
		}
		u.once[c] = true
	case jmeter.TransactionMeasure:
		return u.transaction(c)
	case jmeter.ThroughputController:
		if !c.takes(u) {
			return true
		}
	}
	return u.all(c.steps)
}

func (c *controller) holds(u *user) bool {
	v, ok := u.vars[c.Condition.Variable]
	switch c.Condition.Operator {
	case jmeter.NotEquals:
		return v != c.Condition.Value
	case jmeter.Matches:
		return c.matches.MatchString(v)
	case jmeter.IsSet:
		return ok
	}
	return v == c.Condition.Value
}

// takes decides as JMeter does, so that the share is kept at any time.
func (c *controller) takes(u *user) bool {
	t := &c.counts
	if c.PerUser {
		if t = u.counts[c]; t == nil {
			t = &throughput{}
			if u.counts == nil {
				u.counts = map[*controller]*throughput{}
			}
			u.counts[c] = t
		}
	} else {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	yes := t.executions < c.Count
	if c.Count == 0 {
		yes = (100*float64(t.executions)+50)/float64(t.iterations+1) < c.Percent
	}
	t.iterations++
	if yes {
		t.executions++
	}
	return yes
}

func (u *user) transaction(c *controller) bool {
	t := &transaction{start: u.due}
	if u.due.IsZero() {
		t.start = time.Now()
	}
	u.inside = append(u.inside, t)
	goesOn := u.all(c.steps)
	u.inside = u.inside[:len(u.inside)-1]
	if t.samples == 0 {
		return goesOn
	}
	u.run.take(&jmeter.Sample{
		Start: t.start, Elapsed: t.elapsed, Label: c.name.Expand(u.value), Thread: u.name, Success: t.failed == 0,
		Code: "200", Message: "Number of samples in transaction : " + strconv.Itoa(t.samples) + ", number of failing samples : " + strconv.Itoa(t.failed),
		Bytes: t.bytes, SentBytes: t.sent, Transaction: true,
		GroupThreads: int(u.group.active.Load()), AllThreads: int(u.run.active.Load()),
	})
	return goesOn
}

// pause waits as long as a plan says and reports whether the user goes on.
func (u *user) pause(p jmeter.Pause) bool {
	d := p.Time
	switch {
	case p.Range > 0:
		d += rand.N(p.Range)
	case p.Deviation > 0:
		d += time.Duration(rand.NormFloat64() * float64(p.Deviation))
	}
	if d <= 0 {
		return true
	}
	if !u.due.IsZero() {
		u.due = u.due.Add(d)
		return u.run.sleepUntil(u.ctx, u.due)
	}
	due := time.Now().Add(d)
	if !u.end.IsZero() && due.After(u.end) {
		return false
	}
	return u.run.sleepUntil(u.ctx, due)
}

func (q *request) do(u *user) bool {
	if !u.pause(u.group.load.Think) || !u.pause(q.Pause) || !u.goesOn() {
		return false
	}
	x := &u.sample
	*x = jmeter.Sample{Label: q.name.Expand(u.value), Thread: u.name, DataType: "text"}
	x.Start = u.due
	if u.due.IsZero() {
		x.Start = time.Now()
	}
	u.due, u.acted = time.Time{}, true
	u.send(q, x)
	if u.ctx.Err() != nil && !x.Success {
		return false // it was cut off, and says nothing about the server
	}
	x.GroupThreads, x.AllThreads = int(u.group.active.Load()), int(u.run.active.Load())
	for _, t := range u.inside {
		t.samples++
		t.elapsed += x.Elapsed
		t.bytes += x.Bytes
		t.sent += x.SentBytes
		if !x.Success {
			t.failed++
		}
	}
	u.run.take(x)
	return true
}

// bodies are buffers for what is kept of responses.
var bodies = sync.Pool{New: func() any { return new([]byte) }}
