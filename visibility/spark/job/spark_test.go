//go:build unix

package job

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
)

// The folder testdata has the spans 0 to 1999, of which each takes as many
// nanoseconds as its number says, each seventh fails, and the answer has five
// bytes; four are a trace.
const (
	testSpans  = 2000
	testTraces = testSpans / 4
	testErrors = (testSpans + 6) / 7
	testTotal  = time.Duration(testSpans * (testSpans - 1) / 2)
)

// TestSparkKilled kills the driver of a real Spark, CLOVER_SPARK_KILLS times (1).
func TestSparkKilled(t *testing.T) {
	kills, _ := strconv.Atoi(os.Getenv("CLOVER_SPARK_KILLS"))
	for range max(1, kills) {
		testSparkKilled(t)
	}
}

// testSparkKilled runs the full job, kills the driver while it writes, and
// runs it again: every span is counted once.
func testSparkKilled(t *testing.T) {
	t.Helper()
	submit := &Submit{Home: testutil.SparkHome(t), Conf: testutil.SparkConf(t.TempDir()), Master: "local[2]"}
	var s *Submitter
	var results string
	for r := (Record{Outcome: OK}); r.Outcome == OK; { // until one is caught while it writes
		results = t.TempDir()
		s = newSubmitter(t, Options{Data: "testdata", Results: results, Runner: submit, Deadline: 12 * time.Minute})
		done := make(chan struct{})
		submit.started = func(pid int) {
			go func() {
				defer close(done)
				killWhileWriting(pid, results)
			}()
		}
		var err error
		if r, err = s.RunOnce(t.Context(), Full); r.Outcome != OK && r.Outcome != Failed {
			t.Fatalf("a driver that is killed while it writes: %+v, %v", r, err)
		}
		<-done
	}
	if n := counted(t, results); n != 0 {
		t.Errorf("%d spans of a killed run are counted", n)
	}
	submit.started = nil
	r, err := s.RunOnce(t.Context(), Full)
	if err != nil || r.Spans != testSpans || r.Buckets != 2 {
		t.Fatalf("after that: %+v, %v", r, err)
	}
	sum := visibility.Aggregate{Min: time.Hour}
	_, err = OpenResults(results).Rollups(t.Context(), all, 0, func(row *visibility.Rollup) error {
		a := row.Aggregate
		sum.Count, sum.Errors, sum.Sum = sum.Count+a.Count, sum.Errors+a.Errors, sum.Sum+a.Sum
		sum.Min, sum.Max, sum.ResponseBytes = min(sum.Min, a.Min), max(sum.Max, a.Max), sum.ResponseBytes+a.ResponseBytes
		if row.Role != visibility.RoleServer || row.Key[visibility.Source] != visibility.External || row.Bucket.Truncate(time.Hour) != row.Bucket {
			t.Errorf("a row: %+v %v", row, row.Key)
		}
		return nil
	})
	if err != nil || sum.Count != testSpans || sum.Errors != testErrors || sum.Sum != testTotal ||
		sum.Min != 0 || sum.Max != testSpans-1 || sum.ResponseBytes != 5*testSpans {
		t.Errorf("counted %+v, %v", sum, err)
	}
	if f, err := OpenFigures(results, "").ContractFigures(t.Context(), nil, all); err != nil || f.Traces != testTraces || f.Spans != testSpans {
		t.Errorf("figures %+v, %v", f, err)
	}
}

// killWhileWriting ends a driver when it has begun its output.
func killWhileWriting(pid int, results string) {
	for {
		if begun, err := filepath.Glob(filepath.Join(results, outputFolder, "*", "_temporary")); err != nil || len(begun) > 0 {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return
		}
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return // it has ended by itself
		}
		time.Sleep(time.Millisecond)
	}
}
