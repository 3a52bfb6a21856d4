package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
)

const (
	// lateAfter is how long a bucket may wait for a job, until the results
	// are said to be behind.
	lateAfter = 2 * time.Minute
	// lookEvery is how often the buckets are looked at for that.
	lookEvery = 5 * time.Second
	// maxKept bounds the values that are kept in memory, of all runs. What
	// runs beyond have found is read each time.
	maxKept = 2_000_000
)

// Figures are visibility.ContractFigures of what the jobs have found. They
// are kept in memory: only what new runs have found is read. The methods may be
// called concurrently, also while jobs run, in any process.
type Figures struct {
	results *Results
	data    string
	clock   func() time.Time

	mu     sync.Mutex // guards what follows
	stamp  string     // of the state's file
	state  *State
	from   int64 // hour from which total and runs are
	total  visibility.ContractSums
	runs   map[string]runSums
	kept   int                  // values in runs
	unread map[Bucket]time.Time // since when they wait for a job
	looked time.Time            // at the data,
	blind  time.Time            // and since when that is not possible
}

// runSums are what a run has found of the buckets that are still its own.
type runSums struct {
	buckets, values int
	sums            visibility.ContractSums
}

// OpenFigures returns the figures of the results in a folder. data is that of
// the Parquet files that they are made of; "" if it is not to be had here.
func OpenFigures(results, data string) *Figures {
	return &Figures{results: OpenResults(results), data: data, clock: time.Now, runs: map[string]runSums{}, unread: map[Bucket]time.Time{}}
}

// ContractFigures returns the figures of the hours from r.From on, for tracked
// services. Traces and Spans are those of the same hours; Metrics is not
// filled in. An error that matches visibility.ErrUnavailable says that there
// is no answer yet or for now.
func (f *Figures) ContractFigures(ctx context.Context, services []string, r visibility.Range) (*visibility.ContractFigures, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := r.From.UTC().Truncate(time.Hour)
	if err := f.refresh(ctx, from.Unix()); err != nil {
		return nil, fmt.Errorf("spark results: %w", err)
	}
	figures := f.total.Figures(services)
	figures.Range = visibility.Range{From: from, To: r.To}
	return figures, nil
}

// refresh reads what is new.
func (f *Figures) refresh(ctx context.Context, from int64) error {
	info, err := os.Stat(filepath.Join(f.results.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: no job has ended yet that writes to %s; is clover-spark-submit running?", visibility.ErrUnavailable, f.results.dir)
	}
	if err != nil {
		return err
	}
	stamp := fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())
	if stamp == f.stamp && from == f.from {
		return nil
	}
	state, err := f.results.State()
	if err != nil {
		return err
	}
	if from != f.from {
		f.from, f.kept = from, 0
		clear(f.runs)
	}
	err = f.sum(ctx, state)
	for range 2 { // a run may be replaced, and its output removed, meanwhile
		if !errors.Is(err, errReplaced) {
			break
		}
		if state, err = f.results.State(); err == nil {
			err = f.sum(ctx, state)
		}
	}
	if err != nil {
		f.stamp = ""
		return err
	}
	f.state, f.stamp = state, stamp
	return nil
}

// sum adds up what all runs have found of the buckets that are theirs.
func (f *Figures) sum(ctx context.Context, state *State) error {
	buckets := map[string]int{}
	for name, c := range state.Buckets {
		if c.Traces == 0 && c.Spans > 0 {
			return fmt.Errorf("%w: %s was analysed by an older Clover, and is again by the next job", visibility.ErrUnavailable, name)
		}
		buckets[c.Run]++
	}
	for run, r := range f.runs {
		if buckets[run] != r.buckets { // a run's buckets only become fewer
			f.kept -= r.values
			delete(f.runs, run)
		}
	}
	var total visibility.ContractSums
	for run, n := range buckets {
		r, ok := f.runs[run]
		if !ok {
			var err error
			if r, err = f.read(ctx, state, run); err != nil {
				return err
			}
			if r.buckets = n; f.kept+r.values <= maxKept {
				f.kept += r.values
				f.runs[run] = r
			}
		}
		total.Merge(&r.sums)
	}
	f.total = total
	return nil
}

// read reads what a run has found.
func (f *Figures) read(ctx context.Context, state *State, run string) (r runSums, err error) {
	err = readDigest(ctx, filepath.Join(f.results.dir, outputFolder, run), func(d *digestRow) error {
		if d.Hour >= f.from && state.Buckets[d.File].Run == run {
			r.sums.Merge(&d.ContractSums)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", visibility.ErrUnavailable, errReplaced)
	}
	r.values = len(r.sums.Times)
	for _, counts := range r.sums.Values {
		r.values += len(counts)
	}
	return r, err
}

// Behind returns since when the results lack spans that are in the Parquet
// files, and why; the zero time, and no error, if they do not, or not for long.
func (f *Figures) Behind() (since time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == nil {
		return since, nil // nothing was read, which ContractFigures tells
	}
	now := f.clock()
	if f.data != "" && now.Sub(f.looked) >= lookEvery {
		listed, err := Buckets(f.data)
		if err != nil {
			if f.blind.IsZero() {
				f.blind = now
			}
			return f.blind, fmt.Errorf("spark results: %w", err)
		}
		f.looked, f.blind = now, time.Time{}
		f.note(changed(listed, f.state), now)
	}
	for _, at := range f.unread {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	if since.IsZero() || now.Sub(since) < lateAfter {
		return time.Time{}, nil
	}
	err = fmt.Errorf("spark results: %d Parquet files are not analysed yet", len(f.unread))
	if n := len(f.state.Runs); n > 0 && f.state.Runs[n-1].Outcome != OK {
		return since, fmt.Errorf("%w; the last job: %s: %s", err, f.state.Runs[n-1].Outcome, f.state.Runs[n-1].Error)
	}
	return since, fmt.Errorf("%w; is clover-spark-submit running?", err)
}

// note remembers since when buckets wait.
func (f *Figures) note(unread []Bucket, now time.Time) {
	was := f.unread
	f.unread = make(map[Bucket]time.Time, len(unread))
	for _, b := range unread {
		at, ok := was[b]
		if !ok {
			at = now
		}
		f.unread[b] = at
	}
}
