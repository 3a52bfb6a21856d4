package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/visibility"
)

// Options configure a Submitter.
type Options struct {
	// Data is the folder of Parquet files that package visibility/parquet
	// writes; Results is where the results go. Both are local paths, which
	// Spark's driver and executors have under the same names; with List, Data
	// may be a URL that Spark reads, such as s3a://BUCKET/PREFIX.
	Data, Results string
	// List lists the files of Data. nil: they are local; see [Buckets].
	List func(ctx context.Context) ([]Bucket, error)
	// Runner runs the jobs.
	Runner Runner
	// Fast and Full are the times from one start of a job to the next. 0:
	// 10 s and 1 h.
	Fast, Full time.Duration
	// Deadline is when a job is killed. 0: 10 min.
	Deadline time.Duration
	// Backoff is the pause after a failure; it doubles with each, up to
	// maxBackoff. 0: 1 s.
	Backoff time.Duration
	// OnRun is told of each run that did something, after it. nil: nobody.
	OnRun func(Record)
	// Logger gets failures. nil: none.
	Logger *slog.Logger
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

const maxBackoff = time.Minute

// Submitter runs jobs again and again, never two at once.
type Submitter struct {
	o Options
}

// errLocked says that another submitter has the folder of the results.
var errLocked = fmt.Errorf("spark jobs: %w: another clover-spark-submit writes these results", visibility.ErrLocked)

// NewSubmitter returns a Submitter. It makes nothing before it runs.
func NewSubmitter(o Options) (*Submitter, error) {
	if o.Runner == nil {
		return nil, fmt.Errorf("spark jobs: %w: there is no runner", visibility.ErrInvalid)
	}
	list := o.List
	if list == nil {
		o.List = func(context.Context) ([]Bucket, error) { return Buckets(o.Data) }
	}
	for _, dir := range []*string{&o.Data, &o.Results} {
		if dir == &o.Data && list != nil && strings.Contains(*dir, "://") {
			continue
		}
		if *dir == "" {
			return nil, fmt.Errorf("spark jobs: %w: folders for data and results are needed", visibility.ErrInvalid)
		}
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, err
		}
		*dir = abs
	}
	o.Fast, o.Full = cmp.Or(o.Fast, 10*time.Second), cmp.Or(o.Full, time.Hour)
	o.Deadline, o.Backoff = cmp.Or(o.Deadline, 10*time.Minute), cmp.Or(o.Backoff, time.Second)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Submitter{o: o}, nil
}

// Run runs the full job at once and then whenever it is due, and the fast one
// in between, until ctx ends; it then returns nil. A job that fails is run
// again after a pause. An error means that it cannot run at all; one that
// matches visibility.ErrLocked, that another one does.
func (s *Submitter) Run(ctx context.Context) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	var lastFull time.Time
	for attempt := 1; ; attempt++ {
		began := s.o.Clock()
		kind := Fast
		if lastFull.IsZero() || began.Sub(lastFull) >= s.o.Full {
			kind = Full
		}
		r, err := s.run(ctx, kind, attempt)
		if ctx.Err() != nil {
			return nil
		}
		pause := s.o.Fast - s.o.Clock().Sub(began)
		if err != nil {
			pause = min(s.o.Backoff<<min(attempt-1, 10), maxBackoff)
			s.o.Logger.Warn("spark job failed", "job", kind.Name(), "run", r.ID, "attempt", attempt, "again_in", pause, "err", err)
		} else {
			attempt = 0
			if kind == Full {
				lastFull = began
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// RunOnce runs one job. The record says what became of it, also with an
// error.
func (s *Submitter) RunOnce(ctx context.Context, kind Kind) (Record, error) {
	unlock, err := s.lock()
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	return s.run(ctx, kind, 1)
}

// lock takes the folder of the results for this process.
func (s *Submitter) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(s.o.Results, outputFolder), 0o755); err != nil {
		return nil, err
	}
	f, err := recordfile.Lock(filepath.Join(s.o.Results, "lock"))
	if errors.Is(err, recordfile.ErrLocked) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// run runs one job and keeps its record.
func (s *Submitter) run(ctx context.Context, kind Kind, attempt int) (Record, error) {
	r := Record{ID: newID(), Kind: kind, Attempt: attempt, Started: s.o.Clock().UTC(), Outcome: OK}
	state, err := ReadState(s.o.Results)
	if err != nil {
		return r, err
	}
	err = s.attempt(ctx, state, &r)
	r.Seconds = s.o.Clock().Sub(r.Started).Seconds()
	if err != nil {
		if r.Outcome != Deadline {
			r.Outcome = Failed
		}
		r.Error = err.Error()
	}
	if r.Outcome == Nothing {
		return r, nil
	}
	// The buckets of the run and its record become valid in one step.
	state.record(r)
	if writeErr := state.write(s.o.Results); writeErr != nil {
		return r, errors.Join(err, writeErr)
	}
	if s.o.OnRun != nil {
		s.o.OnRun(r)
	}
	return r, err
}

// attempt runs a job and, if it ends well, puts what it has found into state.
func (s *Submitter) attempt(ctx context.Context, state *State, r *Record) error {
	if err := s.sweep(state); err != nil {
		return err
	}
	listed, err := s.o.List(ctx)
	if err != nil {
		return err
	}
	buckets := listed
	if r.Kind == Fast {
		buckets = changed(listed, state)
	}
	gone := dropMissing(state, listed)
	if len(buckets) == 0 {
		if !gone {
			r.Outcome = Nothing
		}
		return nil
	}
	r.From, r.To, r.Buckets = buckets[0].Name, buckets[len(buckets)-1].Name, len(buckets)
	output := filepath.Join(s.o.Results, outputFolder, r.ID)
	if err := s.submit(ctx, r, buckets, output); err != nil {
		return err
	}
	return s.adopt(ctx, state, r, buckets, output)
}

// submit has Spark run the job, for as long as it may take.
func (s *Submitter) submit(ctx context.Context, r *Record, buckets []Bucket, output string) error {
	data, release := s.snapshot(buckets)
	defer release()
	statement, err := Statement(filepath.ToSlash(data), buckets, filepath.ToSlash(output))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "clover-spark-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	limited, cancel := context.WithTimeout(ctx, s.o.Deadline)
	defer cancel()
	err = s.o.Runner.Run(limited, Task{Name: r.Kind.Name(), ID: r.ID, Statement: statement, Dir: dir})
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		r.Outcome = Deadline
		return fmt.Errorf("killed after %s: %w", s.o.Deadline, err)
	}
	return err
}

// adopt checks a run's output and makes its buckets those of state.
func (s *Submitter) adopt(ctx context.Context, state *State, r *Record, buckets []Bucket, output string) error {
	if _, err := os.Stat(filepath.Join(output, "_SUCCESS")); err != nil {
		return fmt.Errorf("the job has not finished its output: %w", err)
	}
	counts, err := digest(ctx, output)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		c := counts[b.Name]
		state.Buckets[b.Name] = Committed{Run: r.ID, Stamp: b.Stamp, Spans: c.Spans, Traces: c.Traces}
		r.Spans += c.Spans
	}
	return nil
}

// dropMissing forgets the buckets whose files are gone.
func dropMissing(state *State, listed []Bucket) (any bool) {
	there := map[string]bool{}
	for _, b := range listed {
		there[b.Name] = true
	}
	for name := range state.Buckets {
		if !there[name] {
			delete(state.Buckets, name)
			any = true
		}
	}
	return any
}

// sweep removes the output that nobody needs: of runs that failed, and of
// those whose buckets have all been read again.
func (s *Submitter) sweep(state *State) error {
	used := state.used()
	entries, err := os.ReadDir(filepath.Join(s.o.Results, outputFolder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !used[e.Name()] {
			if err := os.RemoveAll(filepath.Join(s.o.Results, outputFolder, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// newID returns a run's name: 32 hexadecimal digits, as drivers' pods had in
// their names in 2019.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
