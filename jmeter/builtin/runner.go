package builtin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Options say how a [Runner] works. The zero value works.
type Options struct {
	// Allow decides on each address before a connection to it is made, after
	// names are resolved. nil: all are allowed.
	Allow func(host string, ip net.IP) error
	// MaxBodyBytes is how much of a response is kept for assertions and
	// extraction; the rest is counted. 0: 1 MiB.
	MaxBodyBytes int64
}

// Runner runs plans in this process.
type Runner struct{ options Options }

// New returns a runner.
func New(o Options) *Runner {
	if o.MaxBodyBytes <= 0 {
		o.MaxBodyBytes = 1 << 20
	}
	return &Runner{options: o}
}

// Name returns "builtin".
func (r *Runner) Name() string { return "builtin" }

// Check says what the runner cannot do.
func (r *Runner) Check(p *jmeter.Plan) error {
	_, err := compilePlan(p)
	return err
}

// Run runs a plan.
func (r *Runner) Run(ctx context.Context, p *jmeter.Plan, o jmeter.RunOptions) (jmeter.Outcome, error) {
	if err := errors.Join(p.Validate(), jmeter.CheckRunID(o.RunID)); err != nil {
		return jmeter.Outcome{}, err
	}
	resolved, err := p.Resolve(o.Dir)
	if err != nil {
		return jmeter.Outcome{}, err
	}
	program, err := compilePlan(resolved)
	if err != nil {
		return jmeter.Outcome{}, err
	}
	run := &run{options: r.options, program: program, sink: o.Sink, threads: o.Threads, runID: o.RunID, stopping: make(chan struct{})}
	if run.runID == "" {
		run.runID = jmeter.NewRunID()
	}
	if run.tls, err = tlsConfig(resolved.TLS); err != nil {
		return jmeter.Outcome{}, err
	}
	if err := run.open(); err != nil {
		return jmeter.Outcome{}, err
	}
	defer run.close()
	return run.do(ctx, o.Stop)
}

// run is one run of a plan.
type run struct {
	options Options
	program *program
	tls     *tls.Config
	runID   string
	threads func(int)

	mu      sync.Mutex // guards sink, sinkErr and notes
	sink    func(*jmeter.Sample) error
	sinkErr error
	notes   []string // under mu too

	stopOnce sync.Once
	stopping chan struct{} // closed: begin nothing new
	active   atomic.Int64
	missed   atomic.Int64
	begun    atomic.Int64 // iterations of a constant rate
	resent   atomic.Int64 // requests, on new connections

	filesMu   sync.Mutex        // guards the two below
	files     map[string][]byte // what was read of files, by path
	fileBytes int64
}

func (r *run) do(ctx context.Context, stop <-chan struct{}) (jmeter.Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var watcher, groups sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-stop: // nil: never
		case <-ctx.Done():
		case <-done:
		}
		r.stop()
	})
	for _, g := range r.program.groups {
		groups.Go(func() { r.group(ctx, g) })
	}
	groups.Wait()
	close(done)
	watcher.Wait()
	if n := r.resent.Load(); n > 0 {
		r.note(fmt.Sprintf("%d requests were sent again on new connections, because the server had closed those that were to be used", n))
	}
	return jmeter.Outcome{Missed: r.missed.Load(), Begun: r.begun.Load(), Notes: r.notes}, errors.Join(ctx.Err(), r.sinkErr)
}

// stop lets nothing new begin.
func (r *run) stop() { r.stopOnce.Do(func() { close(r.stopping) }) }

// take gives a sample to the sink. One that fails ends the run.
func (r *run) take(x *jmeter.Sample) {
	if r.sink == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sinkErr == nil {
		if r.sinkErr = r.sink(x); r.sinkErr != nil {
			r.stop()
		}
	}
}

// note notes what users should know, once.
func (r *run) note(text string) {
	const most = 20
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) < most && !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// enter counts a user in; the function that is returned counts it out.
func (r *run) enter(g *group) func() {
	g.active.Add(1)
	r.tell(r.active.Add(1))
	return func() {
		g.active.Add(-1)
		r.tell(r.active.Add(-1))
	}
}

func (r *run) tell(n int64) {
	if r.threads != nil {
		r.threads(int(n))
	}
}

// group runs the users of a group until all have ended.
func (r *run) group(ctx context.Context, g *group) {
	began := time.Now()
	end := time.Time{}
	if limit := g.load.Limit(); limit > 0 {
		end = began.Add(limit)
	}
	if g.load.Rate > 0 {
		r.atRate(ctx, g, began, end)
		return
	}
	var users sync.WaitGroup
	defer users.Wait()
	for i := range g.load.Threads {
		due := began.Add(g.load.RampUp * time.Duration(i) / time.Duration(g.load.Threads))
		if !r.sleepUntil(ctx, due) || !end.IsZero() && time.Now().After(end) {
			return
		}
		users.Go(func() { r.user(ctx, g, i+1, end) })
	}
}

// user goes through the steps until the loops or the time are over.
func (r *run) user(ctx context.Context, g *group, number int, end time.Time) {
	defer r.enter(g)()
	u := r.newUser(ctx, g, number)
	u.end = end
	defer u.close()
	idle := time.Duration(0)
	for n := 0; g.load.Loops == 0 || n < g.load.Loops; n++ {
		u.acted = false
		if !u.goesOn() || !u.iteration() {
			return
		}
		if u.acted || g.load.Loops > 0 {
			idle = 0
			continue
		}
		r.note(g.name + ": iterations have made no request, since no controller let any through")
		idle = min(max(2*idle, firstIdle), mostIdle)
		if !r.sleepUntil(ctx, time.Now().Add(idle)) {
			return
		}
	}
}

// A user whose iterations do nothing, for ever, waits between them: else it
// would take a core for nothing.
const (
	firstIdle = time.Millisecond
	mostIdle  = 100 * time.Millisecond
)

// sleepUntil waits and reports whether the run goes on.
func (r *run) sleepUntil(ctx context.Context, due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		select {
		case <-r.stopping:
			return false
		default:
			return ctx.Err() == nil
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.stopping:
	case <-ctx.Done():
	}
	return false
}

// shortWait is what is slept exactly at the end of a wait.
const shortWait = 2 * time.Millisecond

// paceUntil is sleepUntil to a fraction of a millisecond.
func (r *run) paceUntil(ctx context.Context, due time.Time) bool {
	if !r.sleepUntil(ctx, due.Add(-shortWait)) {
		return false
	}
	for {
		d := time.Until(due)
		if d <= 0 {
			return true
		}
		shortSleep(d)
	}
}

// newUserEvery bounds how fast a constant rate takes on users. A short stall
// of this machine must not end in a thousand connections: users that are there
// catch up faster, and what waits is counted from its time in any case.
const newUserEvery = time.Millisecond

// atRate begins iterations at their times. A user that is free takes the next
// one. Where all are busy it waits, and another user is taken on, up to
// MaxThreads; as many iterations may wait.
func (r *run) atRate(ctx context.Context, g *group, began, end time.Time) {
	most := g.load.MaxThreads
	if most == 0 {
		most = jmeter.DefaultMaxThreads
	}
	work := make(chan time.Time, most)
	var free atomic.Int64 // users that wait for work
	var users sync.WaitGroup
	defer func() {
		close(work)
		users.Wait()
		r.missed.Add(int64(len(work))) // all users have ended before
	}()
	started, last := 0, time.Time{}
	for n := 0; ; n++ {
		due := began.Add(arrival(n, g.load))
		if !due.Before(end) || !r.paceUntil(ctx, due) {
			return
		}
		select {
		case work <- due:
		default:
			r.missed.Add(1)
		}
		if started == most || free.Load() >= int64(len(work)) {
			continue
		}
		if now := time.Now(); now.Sub(last) >= newUserEvery {
			started, last = started+1, now
			number := started
			users.Go(func() { r.arrivals(ctx, g, number, &free, work) })
		}
	}
}

// arrivals does iterations as they come. What has not begun when the run is
// stopped is missed.
func (r *run) arrivals(ctx context.Context, g *group, number int, free *atomic.Int64, work <-chan time.Time) {
	defer r.enter(g)()
	u := r.newUser(ctx, g, number)
	defer u.close()
	for {
		free.Add(1)
		due, ok := <-work
		free.Add(-1)
		if !ok {
			return
		}
		select {
		case <-r.stopping:
			r.missed.Add(1)
			continue
		default:
		}
		u.due = due
		r.begun.Add(1)
		if ctx.Err() != nil || !u.iteration() {
			return
		}
	}
}

// tlsConfig makes the TLS of the plan. Without verify it trusts all servers,
// as JMeter does: that is what tests of installations with their own
// certificates need.
func tlsConfig(t jmeter.TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !t.Verify}
	if t.CAFile != "" {
		pool, err := readPool(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		c.RootCAs = pool
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
