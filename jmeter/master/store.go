package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opnfv/clover/jmeter"
)

func (m *Master) runDir(id string) string { return m.path("runs", id) }

// create makes the folder of a run, with its plan and the files of it. mu is
// held.
func (m *Master) create(j *job, plan string) error {
	kept, err := m.Plan(plan)
	if err != nil {
		return err
	}
	if digest := kept.Digest(); digest != j.PlanDigest {
		return fmt.Errorf("%w: the plan %s has just been replaced; try again", jmeter.ErrInvalid, kept.Name)
	}
	m.pruneLocked(m.opts.MaxRuns-1, m.opts.MaxBytes/2) // room for this one
	dir := m.runDir(j.ID)
	if err := os.RemoveAll(dir); err != nil { // what a fault has left behind
		return err
	}
	err = os.MkdirAll(filepath.Join(dir, planDir), 0o700)
	for name, data := range kept.Files {
		file := filepath.Join(dir, planDir, filepath.FromSlash(name))
		err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, data, 0o600))
	}
	err = errors.Join(err, writeJSON(filepath.Join(dir, planFile), kept))
	if err == nil {
		err = writeJSON(filepath.Join(dir, stateFile), j.Run)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

// planOf returns the plan of a run.
func (m *Master) planOf(id string) (*jmeter.Plan, error) {
	var p Plan
	if err := readJSON(filepath.Join(m.runDir(id), planFile), &p); err != nil {
		return nil, err
	}
	return p.Read()
}

// save writes the state of a run. mu is held. A fault is logged: the state in
// memory holds until the master ends, and what was measured is found then.
func (m *Master) save(j *job) {
	if err := writeJSON(filepath.Join(m.runDir(j.ID), stateFile), j.Run); err != nil {
		m.opts.Logger.Error("the state of a run cannot be written", "run", j.ID, "error", err)
	}
}

// ledger is what is kept of runs that are not.
type ledger struct{ Dropped int64 }

// load reads the runs of the folder.
func (m *Master) load() error {
	var l ledger
	if err := readJSON(m.path("ledger.json"), &l); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.dropped = l.Dropped
	entries, err := os.ReadDir(m.path("runs"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		var r Run
		err := readJSON(m.path("runs", e.Name(), stateFile), &r)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was not yet begun, or is half removed
		}
		if err != nil || r.ID != e.Name() {
			m.opts.Logger.Error("a run cannot be read and is left alone", "folder", e.Name(), "error", err)
			continue
		}
		j := newJob(r)
		if r.State == Running || r.State == Stopping {
			m.interrupt(j)
		}
		m.runs = append(m.runs, j)
	}
	slices.SortStableFunc(m.runs, func(a, b *job) int { return a.Created.Compare(b.Created) })
	return nil
}

// interrupt ends a run that an earlier master has left behind.
func (m *Master) interrupt(j *job) {
	results, size, err := restore(m.runDir(j.ID))
	if err != nil {
		j.Problem = err.Error()
	}
	j.State, j.Bytes = Interrupted, size
	if j.Ended = results.All.Last.UTC(); j.Ended.Before(j.Began) {
		j.Ended = j.Began
	}
	j.Notes = append(j.Notes, "the master has ended while it ran; what was measured until then is kept")
	j.judge(results)
	if err := writeJSON(filepath.Join(m.runDir(j.ID), numbersFile), snapshot{Results: results, Bytes: size}); err != nil {
		m.opts.Logger.Error("the numbers of a run cannot be written", "run", j.ID, "error", err)
	}
	if err := appendLine(filepath.Join(m.runDir(j.ID), logFile), results.Summary().String()); err != nil {
		m.opts.Logger.Error("the log of a run cannot be written", "run", j.ID, "error", err)
	}
	m.save(j)
	m.opts.Logger.Warn("a run was interrupted by the end of the master", "run", j.ID, "requests", j.Numbers.Count)
}

func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

func (m *Master) prune(runs int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pruneLocked(runs, bytes)
}

// pruneLocked drops the oldest runs that have ended until no more than that
// many, and bytes, are kept. The newest of them stays in any case.
func (m *Master) pruneLocked(runs int, bytes int64) {
	var over []*job
	var size int64
	for _, j := range m.runs {
		if j.State.Over() {
			over = append(over, j)
			size += j.Bytes
		}
	}
	for len(over) > 1 && (len(over) > runs || size > bytes) {
		oldest := over[0]
		if err := os.RemoveAll(m.runDir(oldest.ID)); err != nil {
			m.opts.Logger.Error("an old run cannot be removed", "run", oldest.ID, "error", err)
			return
		}
		over, size = over[1:], size-oldest.Bytes
		m.runs = slices.DeleteFunc(m.runs, func(j *job) bool { return j == oldest })
		m.dropped++
		if err := writeJSON(m.path("ledger.json"), ledger{m.dropped}); err != nil {
			m.opts.Logger.Error("the number of runs dropped cannot be written", "error", err)
		}
		m.opts.Logger.Info("an old run was dropped", "run", oldest.ID, "of", oldest.Created.Format(time.RFC3339))
	}
}
