package spool

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// childDir names the folder in which this program, started by the test, fills
// a spool until it is killed.
const childDir = "CLOVER_SPOOL_CHILD"

// child writes batches, each of three spans, into a spool whose store is away
// and prints how many spans were acknowledged.
func child(dir string) {
	store := newFaulty(nil)
	store.away(1, 0)
	s, err := Open(store, Options{Dir: dir, MaxBackoff: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	for n := from; ; n += 3 {
		if _, err := s.Write(context.Background(), batch("child", n, n+3)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(n + 3)
	}
}

// TestKill kills a process while it writes. Each time another begins behind
// what was acknowledged, and in the end the store gets all of that once.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir, "FROM="+strconv.Itoa(acknowledged))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Errorf("the child says: %s", lines.Text())
				break
			}
			acknowledged = n
			if i == 20+7*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	store := newFaulty(t)
	s := open(t, store, Options{Dir: dir})
	waitEmpty(t, s)
	// The last batch may be there without its acknowledgement.
	stats, err := store.Stats(t.Context())
	if err != nil || stats.Spans < int64(acknowledged) || stats.Spans > int64(acknowledged)+3 {
		t.Errorf("%d spans, %v; %d were acknowledged", stats.Spans, err, acknowledged)
	}
	if r := write(t, s, batch("child", 0, acknowledged)); r.Duplicates != acknowledged {
		t.Errorf("written again: %+v, want %d duplicates", r, acknowledged)
	}
}
