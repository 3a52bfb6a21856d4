package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

var hour = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// all is the time of everything in these tests.
var all = visibility.Range{From: hour.Add(-24 * time.Hour), To: hour.Add(24 * time.Hour)}

// put writes a stand-in for a Parquet file, which [fake] reads: the number of
// its spans. It appears as a whole, as package parquet has it.
func put(t *testing.T, data, name string, spans int) {
	t.Helper()
	file := filepath.Join(data, filepath.FromSlash(name))
	part := filepath.Join(filepath.Dir(file), ".part")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part, []byte(strings.Repeat("x", spans)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, file); err != nil {
		t.Fatal(err)
	}
}

// fake does what Spark does with a job's statement: it writes the output piece
// by piece, and marks it in the end. Faults cannot be had from a real Spark at
// a given moment.
type fake struct {
	fault  func(t Task) error // after a part of the output; nil: none
	before func()             // when it begins; nil: nothing
	tasks  []Task
}

var fakeStatement = regexp.MustCompile("(?s)DIRECTORY '([^']*)'.*parquet.`([^`]*)`")

func (f *fake) Run(ctx context.Context, t Task) error {
	f.tasks = append(f.tasks, t)
	if f.before != nil {
		f.before()
	}
	m := fakeStatement.FindStringSubmatch(t.Statement)
	output, from := m[1], m[2]
	data, names, _ := strings.Cut(strings.TrimSuffix(from, "}"), "/{")
	if names == "" {
		data, names = filepath.Dir(filepath.Dir(from)), filepath.Base(filepath.Dir(from))+"/"+filepath.Base(from)
	}
	if err := os.MkdirAll(output, 0o755); err != nil {
		return err
	}
	for i, name := range strings.Split(names, ",") {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			return err
		}
		var lines bytes.Buffer
		write := json.NewEncoder(&lines)
		if err := errors.Join(
			write.Encode(row{File: name, Hour: hour.Unix(), Role: "server", Service: "s", Spans: info.Size(), TotalNS: info.Size()}),
			write.Encode(row{File: name, Hour: hour.Unix(), Traces: 1}),
			os.WriteFile(filepath.Join(output, fmt.Sprintf("part-%d.json", i)), lines.Bytes(), 0o600),
		); err != nil {
			return err
		}
		if f.fault != nil {
			if err := f.fault(t); err != nil {
				return err
			}
			<-ctx.Done() // it hangs
			return ctx.Err()
		}
	}
	return os.WriteFile(filepath.Join(output, "_SUCCESS"), nil, 0o600)
}

func newSubmitter(t *testing.T, o Options) *Submitter {
	t.Helper()
	s, err := NewSubmitter(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counted is the number of spans that the results hold.
func counted(t *testing.T, dir string) (n int64) {
	t.Helper()
	_, err := OpenResults(dir).Rollups(t.Context(), all, 0, func(r *visibility.Rollup) error {
		n += r.Aggregate.Count
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestIncremental holds that the fast job reads what has changed, that what
// fails or hangs counts for nothing, and that what is gone is gone.
func TestIncremental(t *testing.T) {
	data, results := t.TempDir(), t.TempDir()
	spark := &fake{}
	s := newSubmitter(t, Options{Data: data, Results: results, Runner: spark})
	patient := s.o.Deadline
	put(t, data, "day=1/a.parquet", 3)
	put(t, data, "day=1/b.parquet", 4)
	put(t, data, "day=1/.clover-1.tmp.parquet", 100)
	put(t, data, "_clover.json", 100)
	boom := errors.New("boom")
	for _, step := range []struct {
		name    string
		before  func()
		kind    Kind
		fault   func(Task) error
		outcome Outcome
		buckets int
		spans   int64 // of the run
		counted int64
	}{
		{"first", nil, Fast, nil, OK, 2, 7, 7},
		{"nothing new", nil, Fast, nil, Nothing, 0, 0, 7},
		{"one more", func() { put(t, data, "day=2/a.parquet", 10) }, Fast, nil, OK, 1, 10, 17},
		{"one grows, but the job fails", func() { put(t, data, "day=1/a.parquet", 5) }, Fast, func(Task) error { return boom }, Failed, 1, 0, 17},
		{"and hangs", nil, Fast, func(Task) error { return nil }, Deadline, 1, 0, 17},
		{"and works", nil, Fast, nil, OK, 1, 5, 19},
		{"all again fails", nil, Full, func(Task) error { return boom }, Failed, 3, 0, 19},
		{"all again", nil, Full, nil, OK, 3, 19, 19},
		{"one is gone", func() { os.Remove(filepath.Join(data, "day=1/b.parquet")) }, Fast, nil, OK, 0, 0, 15},
	} {
		if step.before != nil {
			step.before()
		}
		spark.fault = step.fault
		s.o.Deadline = patient
		if step.outcome == Deadline { // no other is to meet it, however busy the machine is
			s.o.Deadline = 50 * time.Millisecond
		}
		r, err := s.RunOnce(t.Context(), step.kind)
		if (err != nil) != (step.outcome == Failed || step.outcome == Deadline) {
			t.Fatalf("%s: %v", step.name, err)
		}
		if r.Outcome != step.outcome || r.Buckets != step.buckets || r.Spans != step.spans {
			t.Errorf("%s: %+v, want %+v", step.name, r, step)
		}
		if n := counted(t, results); n != step.counted {
			t.Errorf("%s: %d spans counted, want %d", step.name, n, step.counted)
		}
	}
	state, err := ReadState(results)
	if err != nil || len(state.Runs) != 8 || len(state.Buckets) != 2 {
		t.Errorf("state: %+v, %v", state, err)
	}
	outputs, err := os.ReadDir(filepath.Join(results, outputFolder))
	if err != nil || len(outputs) != 1 {
		t.Errorf("output that nobody needs is left: %v, %v", outputs, err)
	}
}

// TestAgainAndAgain holds that jobs follow each other, that failures are tried
// again and reported, and that two submitters do not run at once.
func TestAgainAndAgain(t *testing.T) {
	data, results := t.TempDir(), t.TempDir()
	put(t, data, "day=1/a.parquet", 3)
	failures := 2
	spark := &fake{}
	spark.fault = func(Task) error {
		if failures--; failures == 0 {
			spark.fault = nil
		}
		return errors.New("boom")
	}
	runs := make(chan Record, 100)
	s := newSubmitter(t, Options{
		Data: data, Results: results, Runner: spark, Fast: time.Millisecond, Backoff: time.Millisecond,
		OnRun: func(r Record) { runs <- r },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for attempt, want := range []Outcome{Failed, Failed, OK} {
		r := <-runs
		if r.Outcome != want || r.Attempt != attempt+1 || r.Kind != Full {
			t.Errorf("run %d: %+v, want %s", attempt+1, r, want)
		}
	}
	if _, err := newSubmitter(t, s.o).RunOnce(t.Context(), Full); !errors.Is(err, visibility.ErrLocked) {
		t.Errorf("a second submitter: %v", err)
	}
	put(t, data, "day=1/b.parquet", 4)
	if r := <-runs; r.Outcome != OK || r.Kind != Fast || r.Attempt != 1 || r.From != "day=1/b.parquet" {
		t.Errorf("after a new file: %+v", r)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(results, inputFolder)); err != nil || len(left) > 0 {
		t.Errorf("links that nobody needs: %q, %v", left, err)
	}
	if n := counted(t, results); n != 7 {
		t.Errorf("%d spans counted, want 7", n)
	}
	for _, task := range spark.tasks {
		if task.Name != "clover-spark" && task.Name != "clover-spark-fast" || len(task.ID) != 32 {
			t.Errorf("task %q of run %q", task.Name, task.ID)
		}
	}
}

func TestStatement(t *testing.T) {
	buckets := []Bucket{{Name: "day=1/a.parquet"}, {Name: "day=1/b.parquet"}}
	text, err := Statement("/data/it's", buckets, "/out")
	if !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("a quote in a path: %s, %v", text, err)
	}
	for _, c := range []struct{ data, bucket string }{
		{"data", "a"}, {"/da`ta", "a"}, {"/da{ta", "a"}, {"/data", "a'b"}, {"/data", "day=1/a b"}, {"/data", "a;b"}, {"/data", ""},
	} {
		if _, err := Statement(c.data, []Bucket{{Name: c.bucket}}, "/out"); !errors.Is(err, visibility.ErrInvalid) {
			t.Errorf("%q %q: %v", c.data, c.bucket, err)
		}
	}
	if _, err := Statement("/data", nil, "/out"); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("no buckets: %v", err)
	}
	text, err = Statement("/data", buckets, "/out/1")
	if err != nil || !strings.Contains(text, "parquet.`/data/{day=1/a.parquet,day=1/b.parquet}`") || !strings.Contains(text, "DIRECTORY '/out/1'") ||
		!strings.Contains(text, "'/', -2)") {
		t.Errorf("%s, %v", text, err)
	}
	many := make([]Bucket, maxNamed+1)
	for i := range many {
		many[i].Name = fmt.Sprintf("day=1/%d.parquet", i)
	}
	if text, err = Statement("/data", many, "/out/1"); err != nil || !strings.Contains(text, "parquet.`/data`") {
		t.Errorf("%s, %v", text, err)
	}
}

func FuzzReadRows(f *testing.F) {
	f.Add(`{"file":"day=1/a.parquet","hour":3600,"role":"client","spans":3,"status_code":503,"error":true}` + "\n\n{}")
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		_ = readRows(t.Context(), strings.NewReader(text), func(w *row) error {
			key, sum := w.key(), w.aggregate()
			if w.Error && sum.Errors != sum.Count || (w.StatusCode == 0) != (key[visibility.Status] == "") {
				t.Errorf("%+v: %v, %v", w, key, sum)
			}
			return nil
		})
	})
}

func TestSubmitArgs(t *testing.T) {
	s := Submit{Conf: []string{"spark.driver.memory=1g"}}
	args := s.Args(Task{Name: "clover-spark"}, "-f", "/tmp/job.sql")
	want := []string{"--master", "local[*]", "--name", "clover-spark"}
	if !reflect.DeepEqual(args[:4], want) || !strings.Contains(strings.Join(args, " "), "--conf spark.driver.memory=1g --class") {
		t.Errorf("%q", args)
	}
	s.Home = filepath.Join(t.TempDir(), "nowhere")
	err := s.Run(t.Context(), Task{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no Spark: %v", err)
	}
}
