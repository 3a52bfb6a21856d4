package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Reporter tells how the jobs go, by their state in a folder of results. It
// reads that again only when it has changed. Its methods may be called
// concurrently, in any process.
type Reporter struct {
	dir string

	mu     sync.Mutex
	stamp  string // of the state's file that status is of
	status visibility.SourceStatus
}

// NewReporter returns the Reporter of the results in a folder.
func NewReporter(dir string) *Reporter { return &Reporter{dir: dir} }

// downAfter is the number of failures in a row after which the jobs are down.
const downAfter = 3

// Status returns the account in the form in which
// visibility.CollectorOptions takes it: the last run of each job, and why the
// last one of all has failed, if it has.
func (r *Reporter) Status() visibility.SourceStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(filepath.Join(r.dir, stateFile))
	var stamp string
	switch {
	case err == nil:
		stamp = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	case errors.Is(err, fs.ErrNotExist): // no job has ended
		stamp = "none"
	default:
		return r.fails(err)
	}
	if stamp == r.stamp {
		return r.status
	}
	state, err := ReadState(r.dir)
	if err != nil {
		return r.fails(err)
	}
	r.stamp, r.status = stamp, state.status()
	r.status.Target = r.dir
	return r.status
}

// fails is the status while the state cannot be read.
func (r *Reporter) fails(err error) visibility.SourceStatus {
	return visibility.SourceStatus{
		Name: "spark", Kind: visibility.KindJobs, Target: r.dir, State: visibility.StateDown,
		Failures: 1, Error: "what the jobs have done cannot be read: " + err.Error(),
	}
}

// status is what the runs have come to.
func (s *State) status() visibility.SourceStatus {
	st := visibility.SourceStatus{Name: "spark", Kind: visibility.KindJobs, State: visibility.StateStarting}
	for _, c := range s.Buckets {
		st.Delivered += c.Spans
	}
	last := map[Kind]*Record{}
	for i := range s.Runs {
		run := &s.Runs[i]
		last[run.Kind] = run
		st.Pulls++
		st.LastPull = time.Duration(run.Seconds * float64(time.Second))
		ended := run.Started.Add(st.LastPull)
		if run.Outcome == OK {
			st.State, st.Error, st.Failures, st.LastSuccess = visibility.StateOK, "", 0, ended
			continue
		}
		st.Errors++
		st.Failures++
		st.State = visibility.StateBackingOff
		if st.Failures >= downAfter {
			st.State = visibility.StateDown
		}
		st.Error = fmt.Sprintf("%s %s %s, attempt %d: %s", run.Kind.Name(), run.ID, run.Outcome, run.Attempt, strings.ReplaceAll(run.Error, "\n", "; "))
		st.LastError, st.LastErrorAt = st.Error, ended
	}
	var words []string
	for _, kind := range []Kind{Full, Fast} {
		if run := last[kind]; run != nil {
			words = append(words, run.words())
		}
	}
	st.Detail = strings.Join(words, "; ")
	return st
}

// words say what a run has done.
func (r *Record) words() string {
	return fmt.Sprintf("%s %s at %s: %d files, %d spans, %.1f s", r.Kind.Name(), r.Outcome,
		r.Started.UTC().Format(time.RFC3339), r.Buckets, r.Spans, r.Seconds)
}
