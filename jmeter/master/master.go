package master

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/process"
)

// The engines.
const (
	Builtin = "builtin"
	JMeter  = "jmeter"
)

// Options of a Master. Dir is needed; the zero value of the rest works.
type Options struct {
	// Dir keeps plans, runs and results. It is this master's alone.
	Dir string
	// Targets says which targets tests may have. The zero value allows none.
	Targets Targets
	// JMeter is the real one. nil: there is only the built-in engine.
	JMeter *process.JMeter
	// Slaves returns the addresses, HOST:PORT, of JMeter's slaves. nil: none.
	Slaves func(ctx context.Context) ([]string, error)
	// Keys are what JMeter's master and slaves know each other by; Plain does
	// without.
	Keys  process.Keys
	Plain bool
	// Host is the address at which slaves reach this master. "": the JVM's guess.
	Host string
	// MaxRuns and MaxBytes bound what is kept of runs that have ended; the
	// oldest are dropped. 0: 50 runs, 2 GiB. A run keeps the lines of its
	// requests up to half of MaxBytes; beyond they are counted only.
	MaxRuns  int
	MaxBytes int64
	// MaxQueue bounds the runs that wait. 0: 16.
	MaxQueue int
	// Grace is how long requests that have begun may take when the master ends,
	// or when a run has reached its limit of time. 0: 5 s.
	Grace time.Duration
	// Logger hears of runs and of faults. nil: silence.
	Logger *slog.Logger
}

// Bounds of what is kept.
const (
	maxPlans = 100
	// MaxPlanBytes is the size of a plan with its files.
	MaxPlanBytes = 16 << 20
)

func (o Options) withDefaults() Options {
	o.MaxRuns = cmp.Or(o.MaxRuns, 50)
	o.MaxBytes = cmp.Or(o.MaxBytes, 2<<30)
	o.MaxQueue = cmp.Or(o.MaxQueue, 16)
	o.Grace = cmp.Or(o.Grace, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Master keeps plans and runs them. Methods may be called concurrently. Runs
// begin while Run runs.
type Master struct {
	opts Options

	mu      sync.Mutex
	runs    []*job        // oldest first
	dropped int64         // runs whose results were dropped
	changed chan struct{} // closed and made anew when anything changes
	wake    chan struct{} // there is something to run
}

// job is a run with what it takes to do it.
type job struct {
	Run
	ready   *prepared     // nil: it has waited, and is prepared when it begins
	record  *recorder     // while it runs
	stop    chan struct{} // closed: end gently
	kill    chan struct{} // closed: end at once
	stopped bool          // by somebody
}

func newJob(r Run) *job { return &job{Run: r, stop: make(chan struct{}), kill: make(chan struct{})} }

// New opens the folder. A run that an earlier master has not ended is
// interrupted, with what it had measured; those that waited still wait.
func New(o Options) (*Master, error) {
	if o.Dir == "" {
		return nil, fmt.Errorf("%w: a folder for plans and results is needed", jmeter.ErrInvalid)
	}
	m := &Master{opts: o.withDefaults(), changed: make(chan struct{}), wake: make(chan struct{}, 1)}
	for _, dir := range []string{m.opts.Dir, m.path("plans"), m.path("runs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	m.prune(m.opts.MaxRuns, m.opts.MaxBytes)
	return m, nil
}

func (m *Master) path(parts ...string) string {
	return filepath.Join(append([]string{m.opts.Dir}, parts...)...)
}

// Run begins runs one after another until ctx ends. Then the one under way is
// ended, gently for as long as Grace, and is interrupted.
func (m *Master) Run(ctx context.Context) error {
	for {
		for j := m.next(); j != nil && ctx.Err() == nil; j = m.next() {
			m.execute(ctx, j)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
	}
}

// next returns the run that has waited longest.
func (m *Master) next() *job {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.runs {
		if j.State == Queued {
			return j
		}
	}
	return nil
}

// notify tells those who watch. mu is held.
func (m *Master) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Latest stands for the newest run, or for the one that runs.
const Latest = "latest"

// find returns a run. mu is held.
func (m *Master) find(id string) (*job, error) {
	if id == "" || id == Latest {
		if len(m.runs) == 0 {
			return nil, fmt.Errorf("%w: there is no run yet", jmeter.ErrNotFound)
		}
		return m.runs[len(m.runs)-1], nil
	}
	for _, j := range m.runs {
		if j.ID == id {
			return j, nil
		}
	}
	return nil, fmt.Errorf("%w: run %.80q; it may have been dropped for newer ones", jmeter.ErrNotFound, id)
}

// view returns a run as it is now. mu is held.
func (j *job) view() Run {
	r := j.Run
	r.Notes = slices.Clone(r.Notes)
	if j.record != nil {
		r.Numbers, r.Bytes = j.record.now()
	}
	return r
}

// Get returns a run; "" or Latest is the newest.
func (m *Master) Get(id string) (Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := m.find(id)
	if err != nil {
		return Run{}, err
	}
	return j.view(), nil
}

// Runs returns the runs that are kept, newest first, and how many were
// dropped for them.
func (m *Master) Runs() (runs []Run, dropped int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range slices.Backward(m.runs) {
		runs = append(runs, j.view())
	}
	return runs, m.dropped
}

// watchEvery is how often those who watch hear of numbers.
const watchEvery = time.Second

// Watch calls yield with a run now, every second and when it has ended. It
// returns then, when ctx ends, or with the error of yield.
func (m *Master) Watch(ctx context.Context, id string, yield func(Run) error) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		m.mu.Lock()
		j, err := m.find(id)
		if err != nil {
			m.mu.Unlock()
			return err
		}
		id = j.ID // of the newest now
		r, changed := j.view(), m.changed
		m.mu.Unlock()
		if err := yield(r); err != nil || r.State.Over() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-changed:
		}
	}
}

// busy returns the run that is under way or waits first.
func (m *Master) busy() *job {
	i := slices.IndexFunc(m.runs, func(j *job) bool { return !j.State.Over() })
	if i < 0 {
		return nil
	}
	return m.runs[i]
}

// waiting counts the runs that wait. mu is held.
func (m *Master) waiting() (n int) {
	for _, j := range m.runs {
		if j.State == Queued {
			n++
		}
	}
	return n
}

// ErrQueueFull says that as many runs wait as may.
var ErrQueueFull = errors.New("the queue is full")

// ErrExists says that there is a run of that identity.
var ErrExists = errors.New("there is a run of that identity already")
