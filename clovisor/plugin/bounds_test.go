package plugin_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/internal/testutil"
)

// TestLimits holds that the limits of a Spec count before those of the host,
// and that a module is loaded again when they change.
func TestLimits(t *testing.T) {
	h := host(t, plugin.Options{Dir: folder(t), Timeout: time.Minute})
	load(t, h)
	apply := func(l plugin.Limits) {
		t.Helper()
		if err := h.Apply([]plugin.Spec{{Protocol: "test", Path: "hostile.wasm", Limits: l}}); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(command, want string) {
		t.Helper()
		c := sessiontest.Open(client, server)
		c.Client(command + "\n")
		c.Close()
		run(t, h, c)
		if err := h.Status()[0].Err; !errors.Is(err, plugin.ErrStopped) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", command, err, want)
		}
	}
	apply(plugin.Limits{Timeout: 3100 * time.Millisecond})
	ended("spin", "a call took longer than 3.1s")
	apply(plugin.Limits{MemoryBytes: 8 << 20})
	ended("grow", "out of memory")
	if err := h.Apply([]plugin.Spec{{Protocol: "test", Path: "hostile.wasm", Limits: plugin.Limits{MemoryBytes: 64 << 10}}}); err == nil {
		t.Error("a module has less memory than it begins with")
	}
}

// TestCompileTooSlow holds that a module that takes too long to compile is
// refused, and that the one before goes on.
func TestCompileTooSlow(t *testing.T) {
	dir := folder(t)
	write(t, filepath.Join(dir, "other.wasm"), []byte("not looked at"))
	h := host(t, plugin.Options{Dir: dir, Timeout: time.Minute})
	load(t, h)
	done := make(chan struct{})
	plugin.SlowCompiler(h, 10*time.Millisecond, done)
	for _, want := range []string{"longer than 10ms", "another module is still being compiled"} {
		if err := h.Load("test", "other.wasm"); !errors.Is(err, plugin.ErrTooSlow) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	close(done)
	plugin.Compiled(h)
	c := sessiontest.Open(client, server)
	c.Client("hello\n")
	c.Server("yes\n")
	c.Close()
	if got := run(t, h, c); len(got) != 1 || !strings.Contains(got[0], "said=hello") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if s := h.Status(); s[0].Path != "hostile.wasm" || s[0].Err != nil {
		t.Errorf("%+v", s)
	}
}

// TestTooLarge holds that a file that is too large is not compiled.
func TestTooLarge(t *testing.T) {
	dir := folder(t)
	write(t, filepath.Join(dir, "large.wasm"), make([]byte, 16<<20+1))
	if err := host(t, plugin.Options{Dir: dir}).Load("test", "large.wasm"); err == nil || !strings.Contains(err.Error(), "larger than 16777216 bytes") {
		t.Errorf("%v", err)
	}
}

// TestShare holds that a module takes no more than its share of the time, and
// that it is called again when it has rested.
func TestShare(t *testing.T) {
	log := &testutil.Output{}
	h := host(t, plugin.Options{Dir: folder(t), Timeout: time.Minute, Share: 0.25, Logger: slog.New(slog.NewTextHandler(log, nil))})
	const tick = 100 * time.Millisecond
	var began, now time.Time // which goes on at each look, so a call takes a tick
	plugin.SetClock(h, func() time.Time { now = now.Add(tick); return now })
	load(t, h)
	c := sessiontest.Open(client, server)
	const messages = 400
	for range messages {
		c.Client("hello\n")
	}
	began = now
	run(t, h, c)
	s := h.Status()[0]
	if s.Err != nil || s.Passed == 0 || s.Calls+s.Passed != messages {
		t.Errorf("%+v", s)
	}
	used, all := time.Duration(s.Calls)*tick, now.Sub(began)
	if used > all/4+2*time.Second || used < all/5 {
		t.Errorf("it had %s of %s", used, all)
	}
	if n := strings.Count(log.String(), "has to rest"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
