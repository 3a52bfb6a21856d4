package job

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

// figuresOf are what the results count from the tests' hour on.
func figuresOf(t *testing.T, f *Figures, from time.Time) *visibility.ContractFigures {
	t.Helper()
	got, err := f.ContractFigures(t.Context(), []string{"s"}, visibility.Range{From: from, To: all.To})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestFigures holds that files which come, grow and go count as they are, as
// soon as a job has ended.
func TestFigures(t *testing.T) {
	data, results := t.TempDir(), t.TempDir()
	s := newSubmitter(t, Options{Data: data, Results: results, Runner: &fake{}})
	f := OpenFigures(results, data)
	if _, err := f.ContractFigures(t.Context(), nil, all); !errors.Is(err, visibility.ErrUnavailable) || !strings.Contains(err.Error(), "clover-spark-submit") {
		t.Errorf("before the first job: %v", err)
	}
	for _, step := range []struct {
		name          string
		do            func()
		kind          Kind
		traces, spans int64
	}{
		{"two files", func() { put(t, data, "day=1/a.parquet", 3); put(t, data, "day=1/b.parquet", 4) }, Full, 2, 7},
		{"one grows", func() { put(t, data, "day=1/a.parquet", 5) }, Fast, 2, 9},
		{"a third", func() { put(t, data, "day=2/a.parquet", 10) }, Fast, 3, 19},
		{"all again", func() {}, Full, 3, 19},
		{"one is gone", func() { os.Remove(filepath.Join(data, "day=1/b.parquet")) }, Fast, 2, 15},
	} {
		step.do()
		if _, err := s.RunOnce(t.Context(), step.kind); err != nil {
			t.Fatal(err)
		}
		for _, reader := range []*Figures{f, OpenFigures(results, data)} { // one that has looked before, and another
			got := figuresOf(t, reader, hour.Add(59*time.Minute))
			if got.Traces != step.traces || got.Spans != step.spans || got.ResponseTimes[0].Count != step.spans || len(got.Services) != 1 || got.Services[0].Count != step.spans {
				t.Errorf("%s: %+v, want %d traces, %d spans", step.name, got, step.traces, step.spans)
			}
		}
	}
	if got := figuresOf(t, f, hour.Add(time.Hour)); got.Traces != 0 || got.Spans != 0 || len(got.Services) != 0 {
		t.Errorf("after the hour of all spans: %+v", got)
	}
	if got := figuresOf(t, f, hour); got.Spans != 15 {
		t.Errorf("and from it on: %+v", got)
	}
}

// TestFiguresBehind holds that files which no job reads are told of after a
// while, and that results of a Clover which did not count traces are not taken.
func TestFiguresBehind(t *testing.T) {
	data, results := t.TempDir(), t.TempDir()
	spark := &fake{}
	s := newSubmitter(t, Options{Data: data, Results: results, Runner: spark})
	f, now := OpenFigures(results, data), hour
	f.clock = func() time.Time { return now }
	put(t, data, "day=1/a.parquet", 3)
	run := func() error {
		t.Helper()
		_, err := s.RunOnce(t.Context(), Fast)
		figuresOf(t, f, hour)
		return err
	}
	behind := func(want time.Time, why string) {
		t.Helper()
		since, err := f.Behind()
		if !since.Equal(want) || (err != nil) != !want.IsZero() || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("behind since %v, %v; want %v, %q", since, err, want, why)
		}
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	behind(time.Time{}, "")
	put(t, data, "day=1/b.parquet", 3)
	spark.fault = func(Task) error { return errors.New("boom") }
	if err := run(); err == nil {
		t.Error("no failure")
	}
	now = now.Add(lookEvery)
	first := now
	behind(time.Time{}, "") // it is noticed, and not late yet
	now = now.Add(lateAfter)
	behind(first, "1 Parquet files are not analysed yet; the last job: failed: boom")
	spark.fault = nil
	if err := run(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookEvery)
	behind(time.Time{}, "")

	state, err := ReadState(results)
	if err != nil {
		t.Fatal(err)
	}
	old := state.Buckets["day=1/a.parquet"]
	old.Traces = 0
	state.Buckets["day=1/a.parquet"] = old
	if err := state.write(results); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFigures(results, data).ContractFigures(t.Context(), nil, all); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("results without traces: %v", err)
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if got := figuresOf(t, f, hour); got.Traces != 2 || got.Spans != 6 {
		t.Errorf("after the next job: %+v", got)
	}
}
