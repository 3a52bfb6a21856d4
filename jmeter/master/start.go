package master

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// StartOptions say how a plan is run. The zero value runs the plan of no name.
type StartOptions struct {
	Plan string // "": DefaultPlan
	// Engine is Builtin or JMeter. "": JMeter if the master has it.
	Engine string
	// Slaves is how many of JMeter's slaves make the requests. 0: the master.
	Slaves int
	// Queue waits for the runs before, if there are any.
	Queue bool
	// RunID is the run's identity, "": a new one.
	RunID string
	// Limit is the longest time that the run may take. 0: as long as the plan
	// says.
	Limit time.Duration
	// Criteria come to those of the plan.
	Criteria []string
}

// BusyError says that another run is under way. It matches jmeter.ErrBusy.
type BusyError struct{ Run Run }

// Error names the run.
func (e *BusyError) Error() string {
	r := e.Run
	doing := "is under way since " + r.Began.Format(time.TimeOnly)
	if r.State == Queued {
		doing = "is about to begin"
	}
	return fmt.Sprintf("run %s of plan %s %s; wait for it, stop it, or queue this one behind it", r.ID, r.Plan, doing)
}

// Unwrap returns jmeter.ErrBusy.
func (e *BusyError) Unwrap() error { return jmeter.ErrBusy }

// Start starts a run, or refuses it with a [*BusyError] if there is another
// one. What can be wrong with it is found out before it returns, unless it has
// to wait.
func (m *Master) Start(ctx context.Context, o StartOptions) (Run, error) {
	r, plan, err := m.newRun(o)
	if err != nil {
		return Run{}, err
	}
	if err := m.admit(r.ID, o.Queue); err != nil {
		return Run{}, err
	}
	ready, err := m.prepare(ctx, plan, r.Engine, r.Slaves)
	if err != nil {
		return Run{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admitLocked(r.ID, o.Queue); err != nil { // it may have changed
		return Run{}, err
	}
	r.Addresses, r.Notes = ready.slaves, ready.notes
	j := newJob(r)
	if m.busy() == nil {
		j.ready = ready
	}
	if err := m.create(j, o.Plan); err != nil {
		return Run{}, err
	}
	m.runs = append(m.runs, j)
	m.notify()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return j.view(), nil
}

// newRun makes a run of the options, and reads its plan.
func (m *Master) newRun(o StartOptions) (Run, *jmeter.Plan, error) {
	kept, err := m.Plan(o.Plan)
	if err != nil {
		return Run{}, nil, err
	}
	plan, err := kept.Read()
	if err != nil {
		return Run{}, nil, err
	}
	if o.RunID == "" {
		o.RunID = jmeter.NewRunID()
	}
	if err := checkRunID(o.RunID); err != nil {
		return Run{}, nil, err
	}
	if o.Limit < 0 {
		return Run{}, nil, fmt.Errorf("%w: a limit of %v; want 0 or more", jmeter.ErrInvalid, o.Limit)
	}
	r := Run{
		ID: o.RunID, Plan: kept.Name, PlanDigest: kept.Digest(), Slaves: o.Slaves, Limit: o.Limit, State: Queued,
		Criteria: slices.Concat(plan.Criteria, o.Criteria), Created: time.Now().UTC(),
	}
	for _, c := range o.Criteria {
		if _, err := jmeter.ParseCriterion(c); err != nil {
			return r, nil, err
		}
	}
	r.Engine, err = m.engine(o.Engine, o.Slaves)
	return r, plan, err
}

// checkRunID checks an identity, which is also the name of a folder.
func checkRunID(id string) error {
	if err := jmeter.CheckRunID(id); err != nil {
		return err
	}
	if id == Latest || slices.Contains([]byte(id), ':') {
		return fmt.Errorf("%w: run ID %q; want another name than %s, without ':'", jmeter.ErrInvalid, id, Latest)
	}
	return nil
}

// admit says whether another run may be taken on.
func (m *Master) admit(id string, queue bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.admitLocked(id, queue)
}

func (m *Master) admitLocked(id string, queue bool) error {
	if _, err := m.find(id); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, id)
	}
	switch other := m.busy(); {
	case other != nil && !queue:
		return &BusyError{other.view()}
	case other != nil && m.waiting() >= m.opts.MaxQueue:
		return fmt.Errorf("%w: %d runs wait", ErrQueueFull, m.opts.MaxQueue)
	}
	return nil
}

// Stop ends a run; "" or Latest is the one that is under way. A run that waits
// does not begin. now cuts requests off that have begun.
func (m *Master) Stop(id string, now bool) (Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.busy()
	if id != "" && id != Latest {
		var err error
		if j, err = m.find(id); err != nil {
			return Run{}, err
		}
	}
	switch {
	case j == nil:
		return Run{}, fmt.Errorf("%w: no test is running", jmeter.ErrNotFound)
	case j.State.Over():
		return Run{}, fmt.Errorf("%w: run %s has ended already: it is %s", jmeter.ErrNotFound, j.ID, j.State)
	case j.State == Queued:
		j.State, j.Ended = Stopped, time.Now().UTC()
		m.save(j)
		m.notify()
		return j.view(), nil
	}
	j.stopped = true
	if j.State == Running {
		j.State = Stopping
		close(j.stop)
		m.save(j)
		m.notify()
	}
	if now {
		select {
		case <-j.kill:
		default:
			close(j.kill)
		}
	}
	return j.view(), nil
}
