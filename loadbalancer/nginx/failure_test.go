//go:build unix

package nginx

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/loadbalancer"
)

// simple is a load balancer with one server.
func simple(listen, server string) loadbalancer.Config {
	return loadbalancer.Config{
		Listeners: []loadbalancer.Listener{{Address: listen}},
		Groups:    []loadbalancer.Group{{Name: "g", Servers: []loadbalancer.Server{{Address: server}}}},
		Routes:    []loadbalancer.Route{{Group: "g"}},
	}
}

// served checks that the server of that name answers.
func served(t *testing.T, addr, name string) {
	t.Helper()
	if status, body := ask(t, addr, "/", "", ""); status != 200 || !strings.HasPrefix(body, name+" ") {
		t.Errorf("%d %q, want %s", status, body, name)
	}
}

// rejected checks that a change fails at a step with nginx's own words.
func rejected(t *testing.T, dr *Driver, ctx context.Context, c loadbalancer.Config, step, words string) {
	t.Helper()
	_, err := dr.Apply(ctx, c)
	var e *loadbalancer.ApplyError
	if !errors.As(err, &e) || !errors.Is(err, loadbalancer.ErrRejected) || e.Step != step || !strings.Contains(e.Output, words) {
		t.Errorf("error is %v, want step %q with %q", err, step, words)
	}
}

func TestRefusedChangesLeaveAll(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path, DrainTime: 10 * time.Millisecond, Workers: 2})
		addr := testutil.FreeAddr(t)
		apply(t, dr, simple(addr, origin(t, "good")))
		before, err := os.ReadFile(dr.file(confFile))
		if err != nil {
			t.Fatal(err)
		}
		unchanged := func() {
			t.Helper()
			served(t, addr, "good")
			if after, err := os.ReadFile(dr.file(confFile)); err != nil || string(after) != string(before) {
				t.Errorf("the file changed, %v", err)
			}
			if _, err := os.Stat(dr.file(drainFile)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("clients are still told to go: %v", err)
			}
		}

		// The test finds it: no such host.
		rejected(t, dr, t.Context(), simple(addr, "no-such-host.invalid:80"), "test", "host not found in upstream")
		unchanged()

		// Only the reload finds it: the address is in use.
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		rejected(t, dr, t.Context(), simple(busy.Addr().String(), origin(t, "other")), "reload", "still could not bind()")
		unchanged()

		// Invalid and not supported: nothing is touched.
		if _, err := dr.Apply(t.Context(), simple(addr, "a;b:1")); !errors.Is(err, loadbalancer.ErrInvalid) {
			t.Errorf("error is %v", err)
		}
		queue := simple(addr, "127.0.0.1:1")
		queue.Groups[0].Queue.Length = 1
		if _, err := dr.Apply(t.Context(), queue); !errors.Is(err, loadbalancer.ErrUnsupported) {
			t.Errorf("error is %v", err)
		}
		unchanged()

		// And the driver still works.
		apply(t, dr, simple(addr, origin(t, "next")))
		served(t, addr, "next")
	})
}

// TestReloadThatIsNeverConfirmed stops the master, so that it takes no
// signal, and lets it go on when the change has been given up.
func TestReloadThatIsNeverConfirmed(t *testing.T) {
	path := testutil.Require(t, components.NginxMainline())
	dr := running(t, Options{Program: path, Workers: 1})
	addr := testutil.FreeAddr(t)
	apply(t, dr, simple(addr, origin(t, "good")))
	if err := dr.master.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	limit := dr.options.ApplyTimeout
	dr.options.ApplyTimeout = time.Second
	rejected(t, dr, t.Context(), simple(addr, origin(t, "other")), "reload", "")
	dr.options.ApplyTimeout = limit
	served(t, addr, "good")
	if err := dr.master.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// The signal comes late and finds the old configuration.
	apply(t, dr, simple(addr, origin(t, "next")))
	served(t, addr, "next")
}

func TestApplyWithoutNginx(t *testing.T) {
	path := testutil.Require(t, components.NginxMainline())
	dr, err := New(t.Context(), Options{Program: path, Dir: folder(t), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := dr.Apply(ctx, loadbalancer.Config{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before Run: %v", err)
	}
	start(t, dr)()
	if _, err := dr.Apply(t.Context(), loadbalancer.Config{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after Run: %v", err)
	}
}

// TestTakeOver lets nginx outlive its driver, as when that is killed.
func TestTakeOver(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		o := Options{Program: path, Dir: folder(t), Workers: 2, DrainTime: 50 * time.Millisecond, LeaveRunning: true}
		addr := testutil.FreeAddr(t)
		first, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, first)
		good := origin(t, "good")
		apply(t, first, simple(addr, good))
		stop()
		served(t, addr, "good")

		o.LeaveRunning = false
		second := running(t, o)
		apply(t, second, simple(addr, origin(t, "next")))
		served(t, addr, "next")
		if second.generation != first.generation+1 {
			t.Errorf("generation is %d, was %d", second.generation, first.generation)
		}
	})
}

func TestNginxEndsByItself(t *testing.T) {
	path := testutil.Require(t, components.NginxMainline())
	dr, err := New(t.Context(), Options{Program: path, Dir: folder(t), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- dr.Run(t.Context()) }()
	apply(t, dr, loadbalancer.Config{})
	if err := dr.master.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "ended by itself") {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("Run goes on")
	}
	if _, err := dr.findWorker(t.Context()); !errors.Is(err, errNoWorker) {
		t.Errorf("a worker is left: %v", err)
	}
}
