package testutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// recorder is a test that notes how it was ended instead of ending.
type recorder struct {
	testing.TB
	skipped, failed string
}

// ended is what a recorder panics with in place of ending the goroutine.
type ended struct{}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	panic(ended{})
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(ended{})
}

// record runs f with a recorder, until f ends it.
func record(t *testing.T, f func(*recorder)) (r *recorder) {
	r = &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != (ended{}) {
			panic(p)
		}
	}()
	f(r)
	return r
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		env  string
		fail bool
	}{
		{"", false}, {"jaeger", false}, {"jaeger,redis", false},
		{"all", true}, {"envoy", true}, {"jaeger, envoy", true},
	} {
		t.Setenv(requireEnv, c.env)
		r := record(t, func(r *recorder) { Missing(r, "envoy", "no network") })
		text := r.skipped
		if c.fail {
			text = r.failed
		}
		if !strings.Contains(text, "no network") {
			t.Errorf("%s=%q: skipped %q, failed %q, want failed: %v", requireEnv, c.env, r.skipped, r.failed, c.fail)
		}
	}
}

func TestRequireGivesTheReason(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short, the reason is -short")
	}
	t.Setenv("CLOVER_CACHE", filepath.Join(os.DevNull, "cache"))
	t.Setenv(requireEnv, "")
	r := record(t, func(r *recorder) { Require(r, components.Envoy()) })
	if !strings.Contains(r.skipped, "Envoy 1.40.0") || !strings.Contains(r.skipped, os.DevNull) {
		t.Errorf("skipped with %q, failed with %q", r.skipped, r.failed)
	}
}

func TestFreePortIsReserved(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		p := FreePort(t)
		if seen[p] {
			t.Fatalf("port %d given twice", p)
		}
		seen[p] = true
	}
}

func TestEventuallyShowsTheState(t *testing.T) {
	calls := 0
	Eventually(t, time.Minute, func() (bool, string) { calls++; return calls == 3, "" })
	if calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
	old := patience
	patience = 0
	defer func() { patience = old }()
	r := record(t, func(r *recorder) {
		Eventually(r, time.Millisecond, func() (bool, string) { return false, "three of four" })
	})
	if !strings.Contains(r.failed, "three of four") {
		t.Errorf("the message is %q", r.failed)
	}
}

func TestProcessEndsItsWholeGroup(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	p := Start(t, Command{Name: "family", Path: sh, Args: []string{"-c", "sleep 600 & echo child $!; wait"}})
	var child string
	Eventually(t, 10*time.Second, func() (bool, string) {
		_, err := fmt.Sscanf(p.Log(), "child %s", &child)
		return err == nil, p.Log()
	})
	p.Stop()
	p.Stop()
	Eventually(t, 10*time.Second, func() (bool, string) {
		stat, err := os.ReadFile("/proc/" + child + "/stat")
		gone := errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ")
		return gone, "child is still there: " + string(stat)
	})
}

func TestWaitReadyShowsTheLog(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	p := Start(t, Command{Path: sh, Args: []string{"-c", "echo no such port; exit 3"}})
	r := record(t, func(r *recorder) {
		p.t = r
		p.WaitReady(10*time.Second, func(context.Context) error { return errors.New("not yet") })
	})
	if !strings.Contains(r.failed, "no such port") || !strings.Contains(r.failed, "exit status 3") {
		t.Errorf("the message is %q", r.failed)
	}
}

func TestLoggerOutlivesTheTest(t *testing.T) {
	var late interface{ Info(string, ...any) }
	t.Run("inner", func(t *testing.T) {
		l := Logger(t)
		l.Info("in time")
		late = l
	})
	late.Info("too late")
}
