package master_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/jtl"
	"github.com/opnfv/clover/jmeter/master"
)

// TestARunIsKept runs a plan to its end, and asks for its results before and
// after a restart.
func TestARunIsKept(t *testing.T) {
	w, dir := newWeb(t), t.TempDir()
	m, stop := open(t, master.Options{Dir: dir})
	plan(t, m, w, "", shortPlan)
	id := start(t, m, master.StartOptions{Criteria: []string{"p95 < 10s"}}).ID
	var states []master.State
	check(t, m.Watch(t.Context(), id, func(r master.Run) error {
		states = append(states, r.State)
		return nil
	}))
	if last := states[len(states)-1]; last != master.Finished {
		t.Errorf("states %v", states)
	}
	before := describe(t, m, id)
	run, err := m.Get(master.Latest)
	check(t, err)
	if run.ID != id || !run.Passed || len(run.Verdicts) != 3 || run.Numbers.Count != 20 || w.requests() != 20 || run.Began.IsZero() || run.Ended.Before(run.Began) {
		t.Errorf("%+v", run)
	}
	if !strings.Contains(before, "20 in 00:0") || strings.Count(before, ",url1,200,OK,ThreadGroup 1-") != 10 || !strings.Contains(before, "✓ p95 < 10s") {
		t.Error(before)
	}
	stop()
	again, _ := open(t, master.Options{Dir: dir})
	if after := describe(t, again, id); after != before {
		t.Errorf("after a restart\n%s\nbefore\n%s", after, before)
	}
	if p, err := again.Plan(""); err != nil || p.Digest() != run.PlanDigest {
		t.Error(p, err)
	}
}

// describe returns all that is said of a run.
func describe(t *testing.T, m *master.Master, id string) string {
	t.Helper()
	var b bytes.Buffer
	_, log, err := m.Log(id)
	check(t, err)
	_, lines, next, err := m.Detail(id, 0)
	check(t, err)
	if next != 0 {
		t.Errorf("detail goes on at %d", next)
	}
	b.WriteString(log + lines)
	_, r, err := m.Report(id)
	check(t, err)
	for _, format := range []string{"table", "json", "csv", "junit"} {
		check(t, r.Write(&b, format))
	}
	return b.String()
}

// TestOneAtATime starts runs while another one is under way.
func TestOneAtATime(t *testing.T) {
	w := newWeb(t)
	m, _ := open(t, master.Options{Dir: t.TempDir(), MaxQueue: 2})
	plan(t, m, w, "held", heldPlan)
	plan(t, m, w, "short", shortPlan)
	first := start(t, m, master.StartOptions{Plan: "held"}).ID
	reaches(t, m, first, master.Running)
	_, err := m.Start(t.Context(), master.StartOptions{Plan: "short"})
	var busy *master.BusyError
	if !errors.As(err, &busy) || !errors.Is(err, jmeter.ErrBusy) || !strings.Contains(err.Error(), first) {
		t.Errorf("%v does not name %s", err, first)
	}
	second := start(t, m, master.StartOptions{Plan: "short", Queue: true}).ID
	third := start(t, m, master.StartOptions{Plan: "short", Queue: true, RunID: "third"}).ID
	if _, err := m.Start(t.Context(), master.StartOptions{Plan: "short", Queue: true}); !errors.Is(err, master.ErrQueueFull) {
		t.Error(err)
	}
	if _, err := m.Start(t.Context(), master.StartOptions{Plan: "short", Queue: true, RunID: "third"}); !errors.Is(err, master.ErrExists) {
		t.Error(err)
	}
	if run, err := m.Stop(second, false); err != nil || run.State != master.Stopped {
		t.Error(run.State, err)
	}
	close(w.release)
	reaches(t, m, first, master.Finished)
	if run := reaches(t, m, third, master.Finished); !run.Passed {
		t.Errorf("%+v", run)
	}
	if run, err := m.Get(second); err != nil || run.State != master.Stopped || run.Numbers.Count != 0 {
		t.Errorf("%+v, %v", run, err)
	}
	if _, err := m.Stop("", false); !errors.Is(err, jmeter.ErrNotFound) {
		t.Error(err)
	}
}

// TestUsersAtOnce has several users start a run at the same moment.
func TestUsersAtOnce(t *testing.T) {
	w := newWeb(t)
	m, _ := open(t, master.Options{Dir: t.TempDir()})
	plan(t, m, w, "", heldPlan)
	var users sync.WaitGroup
	var mu sync.Mutex
	var won []string
	for range 8 {
		users.Go(func() {
			run, err := m.Start(t.Context(), master.StartOptions{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, run.ID)
			} else if !errors.Is(err, jmeter.ErrBusy) {
				t.Error(err)
			}
		})
	}
	users.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 8 have started a run", len(won))
	}
	close(w.release)
	reaches(t, m, won[0], master.Finished)
}

// TestStop ends runs gently, at once, and by their limit.
func TestStop(t *testing.T) {
	w := newWeb(t)
	m, _ := open(t, master.Options{Dir: t.TempDir(), Grace: limit}) // no request of the run with a limit is cut off
	plan(t, m, w, "long", longPlan)
	plan(t, m, w, "held", heldPlan)
	id := start(t, m, master.StartOptions{Plan: "long"}).ID
	measures(t, m, id, 20)
	_, err := m.Stop("", false)
	check(t, err)
	run := reaches(t, m, id, master.Stopped)
	if run.Numbers.Count != w.requests() || run.Numbers.Errors != 0 || run.Passed {
		t.Errorf("%d requests have arrived: %+v", w.requests(), run.Numbers)
	}
	before := w.requests()
	id = start(t, m, master.StartOptions{Plan: "held"}).ID
	// Without a request that is held, the gentle stop would end the run.
	testutil.Eventually(t, limit, func() (bool, string) { return w.requests() > before, "nothing is held" })
	_, err = m.Stop(id, false)
	check(t, err)
	if run, err := m.Get(id); err != nil || run.State != master.Stopping {
		t.Error(run.State, err)
	}
	_, err = m.Stop(id, true)
	check(t, err)
	reaches(t, m, id, master.Stopped)
	id = start(t, m, master.StartOptions{Plan: "long", Limit: 200 * time.Millisecond}).ID
	if run := reaches(t, m, id, master.Stopped); len(run.Notes) != 1 || !strings.Contains(run.Notes[0], "limit of 200ms") {
		t.Error(run.Notes)
	}
}

// TestTheEndOfTheMaster ends a master while a run is under way and another one
// waits: the first is interrupted, with all that it has measured, and the
// second is run by the next master.
func TestTheEndOfTheMaster(t *testing.T) {
	w, dir := newWeb(t), t.TempDir()
	m, stop := open(t, master.Options{Dir: dir, Grace: limit}) // no request is cut off
	plan(t, m, w, "long", longPlan)
	plan(t, m, w, "short", shortPlan)
	id := start(t, m, master.StartOptions{Plan: "long"}).ID
	next := start(t, m, master.StartOptions{Plan: "short", Queue: true}).ID
	measures(t, m, id, 20)
	stop()
	n := w.requests()
	m, _ = open(t, master.Options{Dir: dir})
	run, err := m.Get(id)
	check(t, err)
	if run.State != master.Interrupted || run.Numbers.Count != n || run.Passed || len(run.Notes) != 1 {
		t.Errorf("%d requests have arrived: %+v", n, run)
	}
	reaches(t, m, next, master.Finished)
}

// TestAKilledMaster opens what a master has on disk at a moment in the middle
// of a run, which is what there is if it is killed then.
func TestAKilledMaster(t *testing.T) {
	w, dir := newWeb(t), t.TempDir()
	m, _ := open(t, master.Options{Dir: dir})
	plan(t, m, w, "", longPlan)
	id := start(t, m, master.StartOptions{}).ID
	measures(t, m, id, 50)
	_, lines, _, err := m.Detail(id, 0) // it writes what it has
	check(t, err)
	then := copyWhole(t, dir)
	cut, err := os.OpenFile(filepath.Join(then, "runs", id, "results.jtl"), os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = cut.WriteString("17956660")
	check(t, errors.Join(err, cut.Close()))
	_, err = m.Stop("", true)
	check(t, err)

	killed, _ := open(t, master.Options{Dir: then})
	run, err := killed.Get(id)
	check(t, err)
	if run.State != master.Interrupted || run.Numbers.Count < int64(strings.Count(lines, "\n")) || run.Numbers.Count < 50 {
		t.Errorf("%d lines were there: %+v", strings.Count(lines, "\n"), run)
	}
	data, err := os.ReadFile(filepath.Join(then, "runs", id, "results.jtl"))
	check(t, err)
	results, err := jtl.Collect(bytes.NewReader(data))
	if err != nil || results.All.Count != run.Numbers.Count {
		t.Errorf("%d in detail, %d in the numbers: %v", results.All.Count, run.Numbers.Count, err)
	}
	if _, log, err := killed.Log(id); err != nil || !strings.Contains(log, "! the master has ended while it ran") {
		t.Error(log, err)
	}
}

// TestOldRunsGo holds that runs are bounded, and that those that went are
// counted, also after a restart.
func TestOldRunsGo(t *testing.T) {
	w, dir := newWeb(t), t.TempDir()
	m, stop := open(t, master.Options{Dir: dir, MaxRuns: 2})
	plan(t, m, w, "", shortPlan)
	var ids []string
	for range 4 {
		ids = append(ids, start(t, m, master.StartOptions{}).ID)
		reaches(t, m, ids[len(ids)-1], master.Finished)
	}
	stop()
	m, _ = open(t, master.Options{Dir: dir, MaxRuns: 2})
	runs, dropped := m.Runs()
	if len(runs) != 2 || dropped != 2 || runs[0].ID != ids[3] || runs[1].ID != ids[2] {
		t.Errorf("%d dropped, %v of %v", dropped, runs, ids)
	}
	if _, err := m.Get(ids[0]); !errors.Is(err, jmeter.ErrNotFound) {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	if err != nil || len(entries) != 2 {
		t.Error(entries, err)
	}
}

// TestDetailIsBounded holds that a run that is larger than may be kept is
// still counted.
func TestDetailIsBounded(t *testing.T) {
	w := newWeb(t)
	m, _ := open(t, master.Options{Dir: t.TempDir(), MaxBytes: 100})
	plan(t, m, w, "", strings.ReplaceAll(shortPlan, "loops: 5", "loops: 1000")[:strings.Index(shortPlan, "criteria")+3]+"\n"+`url_list: [{name: url1, url: "ADDR/1"}]`)
	id := start(t, m, master.StartOptions{}).ID
	run := reaches(t, m, id, master.Finished)
	if run.Numbers.Count != 2000 || run.Bytes > 128<<10 || len(run.Notes) != 1 || !strings.Contains(run.Notes[0], "not in the detail") {
		t.Errorf("%+v", run)
	}
}
