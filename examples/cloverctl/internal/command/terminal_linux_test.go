package command

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/internal/testutil"
)

// terminal opens a pseudo terminal of 100 columns and returns both ends.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		testutil.Missing(t, "terminal", err.Error())
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	check(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	check(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { slave.Close() })
	check(t, unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 30}))
	return master, slave
}

// TestColorsOfATerminal prints a failing row to a terminal, with and without
// the variables that say no to colours.
func TestColorsOfATerminal(t *testing.T) {
	address := answering(t, map[string]string{
		"stats": `{"group_by":["service"],"groups":[{"values":["web"],"stats":{"count":"1","errors":"1"}}]}`,
	})
	for _, c := range []struct {
		noColor, term string
		colors        bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		master, slave := terminal(t)
		if code := Run(t.Context(), []string{"-q", "--controller", address, "get", "visibility", "stats"}, Streams{In: slave, Out: slave, Err: slave}); code != 0 {
			t.Fatalf("exit %d", code)
		}
		// One read may bring a part of the lines.
		const end = "END"
		_, err := slave.WriteString(end)
		check(t, err)
		var shown strings.Builder
		for buf := make([]byte, 4096); !strings.HasSuffix(shown.String(), end); {
			n, err := master.Read(buf)
			check(t, err)
			shown.Write(buf[:n])
		}
		if got := strings.Contains(shown.String(), "\x1b[31m"); got != c.colors {
			t.Errorf("NO_COLOR=%q TERM=%q: colours %v\n%q", c.noColor, c.term, got, shown.String())
		}
	}
}

// TestClearAsksOnATerminal answers the question as a person would.
func TestClearAsksOnATerminal(t *testing.T) {
	address := answering(t, map[string]string{"clear": `{"message":"Cleared"}`})
	for answer, want := range map[string]int{"y\n": exitOK, "n\n": exitFailure} {
		master, slave := terminal(t)
		_, err := master.WriteString(answer)
		check(t, err)
		var out, errs strings.Builder
		code := Run(t.Context(), []string{"-q", "--controller", address, "clear", "visibility"}, Streams{In: slave, Out: &out, Err: &errs})
		if code != want || !strings.Contains(errs.String(), "Remove all collected visibility data? [y/N]") || (out.String() == "Cleared\n") != (code == exitOK) {
			t.Errorf("%q: exit %d, %q, %q", answer, code, out.String(), errs.String())
		}
	}
}
