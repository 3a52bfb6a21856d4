package embedded

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// crashDir makes the test binary a writer that is going to be killed.
const crashDir = "CLOVER_CRASH_TEST_DIR"

// crashTrace is the trace of that number: the same in every process.
func crashTrace(n int) []tracing.Span {
	return meshTrace(rand.New(rand.NewPCG(99, uint64(n))), epoch.Add(time.Duration(n)*time.Millisecond))
}

// crashRoundTraces is how many traces a writer tries at the most.
const crashRoundTraces = 4000

// crashWriter stores traces from a number on, in two parts each so that hops
// are open in between, and prints the number of each part after it was
// acknowledged. Then it waits to be killed.
func crashWriter(dir string) error {
	first, err := strconv.Atoi(os.Getenv(crashDir + "_FIRST"))
	if err != nil {
		return err
	}
	s, err := Open(dir, Options{Clock: func() time.Time { return epoch.Add(time.Hour) }})
	if err != nil {
		return err
	}
	for n := first; n < first+crashRoundTraces; n++ {
		trace := crashTrace(n)
		for part, spans := range [][]tracing.Span{trace[:2], trace[2:]} {
			if _, err := s.Write(context.Background(), &visibility.Batch{Source: "crash", Spans: spans}); err != nil {
				return err
			}
			fmt.Printf("acked %d %d\n", n, part)
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestCrashLosesNothing kills the writer at random points. After each kill
// everything acknowledged is there, and the rollups count exactly the spans
// that are.
func TestCrashLosesNothing(t *testing.T) {
	rounds := 5
	if v := os.Getenv("CLOVER_CRASHES"); v != "" {
		var err error
		if rounds, err = strconv.Atoi(v); err != nil {
			t.Fatalf("CLOVER_CRASHES=%q: %v", v, err)
		}
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	acked := map[int]int{} // trace → parts acknowledged
	next := 0
	for round := range rounds {
		next = killWriter(t, dir, next, 1+rng.IntN(600), acked)
		if err := checkAfterCrash(dir, next, acked); err != nil {
			t.Fatalf("after kill %d: %v", round+1, err)
		}
	}
	t.Logf("%d kills, %d traces", rounds, len(acked))
}

// killWriter runs a writer, kills it after that many acknowledgements, and
// returns the first trace that it cannot have written.
func killWriter(t *testing.T, dir string, first, kill int, acked map[int]int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashDir+"_FIRST="+strconv.Itoa(first))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last, seen := first, 0
	for lines.Scan() {
		var n, part int
		if _, err := fmt.Sscanf(lines.Text(), "acked %d %d", &n, &part); err != nil {
			t.Fatalf("writer said %q", lines.Text())
		}
		acked[n], last = part+1, n
		if seen++; seen == kill {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || seen < kill {
		t.Fatalf("writer ended by itself after %d acknowledgements: %v", seen, err)
	}
	return last + 2
}

// checkAfterCrash opens the store and compares it with what was acknowledged.
func checkAfterCrash(dir string, next int, acked map[int]int) error {
	s, err := Open(dir, Options{Clock: func() time.Time { return epoch.Add(time.Hour) }})
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := context.Background()
	stored, requests := int64(0), int64(0)
	for n := range next {
		spans, err := s.Trace(ctx, crashTrace(n)[0].TraceID)
		want := [...]int{0, 2, 5}[acked[n]]
		if len(spans) < want {
			return fmt.Errorf("trace %d has %d spans, %d were acknowledged: %w", n, len(spans), want, err)
		}
		stored += int64(len(spans))
		requests += map[int]int64{0: 0, 2: 2, 5: 3}[len(spans)]
	}
	var counted, countedRequests int64
	_, err = s.Rollups(ctx, visibility.Range{From: epoch, To: epoch.Add(time.Hour)}, 0, func(r *visibility.Rollup) error {
		counted += r.Aggregate.Count
		if r.Role.Counts(visibility.CountRequests) {
			countedRequests += r.Aggregate.Count
		}
		return nil
	})
	if err != nil {
		return err
	}
	if counted != stored || countedRequests != requests {
		return fmt.Errorf("rollups count %d spans and %d requests, the store holds %d and %d",
			counted, countedRequests, stored, requests)
	}
	st, err := s.Stats(ctx)
	if err == nil && st.Spans != stored {
		err = fmt.Errorf("stats say %d spans, the store holds %d", st.Spans, stored)
	}
	return err
}
