package command

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
)

// asProgram lets the test's own program be cloverctl.
const asProgram = "CLOVERCTL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Run(context.Background(), os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	leak.Main(m)
}

// firstOutput is how soon a command that asks nobody has said something.
const firstOutput = 50 * time.Millisecond

// TestFirstOutput holds that what the libraries do before main stays small.
// The processor's time is measured, as the machine may be busy, and the best
// of several runs counts; on an idle machine it is the time that users wait.
func TestFirstOutput(t *testing.T) {
	limit := firstOutput
	if raceEnabled {
		limit *= 10
	}
	self, err := os.Executable()
	check(t, err)
	for _, args := range [][]string{{"--help"}, {"version", "--client"}, {"create", "system", "--help"}} {
		best := time.Hour
		for range 20 {
			cmd := exec.Command(self, args...)
			cmd.Env = append(os.Environ(), asProgram+"=yes")
			out, err := cmd.Output()
			if err != nil || len(out) == 0 {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
			if best = min(best, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()); best < limit {
				break
			}
		}
		t.Logf("%v: %v", args, best)
		if best > limit {
			t.Errorf("%v: %v, want %v", args, best, limit)
		}
	}
}
