package master

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// execute runs a run to its end, or until ctx ends.
func (m *Master) execute(ctx context.Context, j *job) {
	ready, err := m.begin(ctx, j)
	if err != nil {
		m.end(ctx, j, &jmeter.Results{}, jmeter.Outcome{}, err)
		return
	}
	if ready == nil {
		return // it was stopped while it waited
	}
	m.opts.Logger.Info("run begins", "run", j.ID, "plan", j.Plan, "engine", j.Engine, "slaves", len(ready.slaves))
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop, over := make(chan struct{}), make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { m.conduct(ctx, j, stop, over, cancel) })
	results, outcome, err := jmeter.Run(hard, ready.runner, ready.plan, jmeter.RunOptions{
		RunID: j.ID, Dir: filepath.Join(m.runDir(j.ID), planDir), Sink: j.record.take, Stop: stop,
	}, jmeter.Watch{Every: recordEvery, Report: j.record.progress})
	close(over)
	watcher.Wait()
	cancel()
	m.end(ctx, j, results, outcome, err)
}

// begin makes a run the one that is under way. nil: there is nothing to run.
func (m *Master) begin(ctx context.Context, j *job) (*prepared, error) {
	ready := j.ready
	if ready == nil {
		plan, err := m.planOf(j.ID)
		if err != nil {
			return nil, err
		}
		if ready, err = m.prepare(ctx, plan, j.Engine, j.Slaves); err != nil {
			return nil, err
		}
	}
	record, err := newRecorder(m.runDir(j.ID), m.opts.MaxBytes/2)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if j.State != Queued {
		return nil, record.finish(&jmeter.Results{})
	}
	j.record, j.State, j.Began = record, Running, time.Now().UTC()
	j.Addresses, j.Notes = ready.slaves, ready.notes
	m.save(j)
	m.notify()
	return ready, nil
}

// conduct ends a run when somebody, its limit or the end of the master wants
// it. cancel ends it at once.
func (m *Master) conduct(ctx context.Context, j *job, stop chan<- struct{}, over <-chan struct{}, cancel func()) {
	limit := make(<-chan time.Time)
	if j.Limit > 0 {
		t := time.NewTimer(j.Limit)
		defer t.Stop()
		limit = t.C
	}
	select {
	case <-over:
		return
	case <-j.stop:
	case <-j.kill:
	case <-ctx.Done():
	case <-limit:
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		end() // as at the end of the master: requests have as long as Grace
		m.mu.Lock()
		j.stopped = true
		j.Notes = append(j.Notes, fmt.Sprintf("stopped at its limit of %v", j.Limit))
		m.mu.Unlock()
	}
	close(stop)
	select {
	case <-over:
		return
	case <-j.kill:
		cancel()
		return
	case <-ctx.Done():
	}
	select {
	case <-over:
	case <-j.kill:
		cancel()
	case <-time.After(m.opts.Grace):
		cancel()
	}
}

// end keeps what a run has come to.
func (m *Master) end(ctx context.Context, j *job, results *jmeter.Results, outcome jmeter.Outcome, err error) {
	var left int64
	if j.record != nil {
		left = j.record.left
		err = errors.Join(err, j.record.finish(results))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if j.record != nil {
		j.Bytes = j.record.bytes
	}
	j.record, j.ready, j.Ended = nil, nil, time.Now().UTC()
	j.Notes = append(j.Notes, outcome.Notes...)
	if left > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("%d results are in the numbers but not in the detail, which has reached its limit", left))
	}
	switch cut := errors.Is(err, context.Canceled); {
	case j.stopped && (err == nil || cut):
		j.State = Stopped
	case ctx.Err() != nil && (err == nil || cut):
		j.State = Interrupted
		j.Notes = append(j.Notes, "the master was ended while it ran; what was measured until then is kept")
	case err != nil:
		j.State, j.Problem = Failed, err.Error()
	default:
		j.State = Finished
	}
	j.judge(results)
	m.save(j)
	m.opts.Logger.Info("run has ended", "run", j.ID, "state", j.State, "requests", j.Numbers.Count, "errors", j.Numbers.Errors, "problem", j.Problem)
	m.pruneLocked(m.opts.MaxRuns, m.opts.MaxBytes)
	m.notify()
}
