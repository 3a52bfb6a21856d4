package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// The most that the programs may have resident while nothing happens.
const (
	maxControllerMiB = 64
	maxCollectorMiB  = 128
)

// TestIdleMemory runs both programs as their defaults are, but for ports, and
// looks at the most that they had resident. CLOVER_IDLE (5s) is how long.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs")
	}
	idle := 5 * time.Second
	if text := os.Getenv("CLOVER_IDLE"); text != "" {
		var err error
		idle, err = time.ParseDuration(text)
		check(t, err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", bin, "../../clover-controller", "../../clover-collector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	addr := testutil.FreeAddr(t)
	collector := idling(t, filepath.Join(bin, "clover-collector"), "--data-dir", t.TempDir(),
		"--grpc-addr", addr, "--otlp-grpc-addr", "127.0.0.1:0", "--otlp-http-addr", "127.0.0.1:0")
	controller := idling(t, filepath.Join(bin, "clover-controller"), "--collector", addr,
		"--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0")
	<-time.After(idle) // not a wait for something: it is what is measured
	for _, p := range []struct {
		name string
		pid  int
		most float64
	}{{"controller", controller, maxControllerMiB}, {"collector", collector, maxCollectorMiB}} {
		peak, anonymous := memory(t, p.pid)
		t.Logf("%s: at most %.1f MiB resident, %.1f MiB of it not from files", p.name, peak, anonymous)
		if peak > p.most {
			t.Errorf("%s: %.1f MiB resident, want at most %g", p.name, peak, p.most)
		}
	}
}

// idling runs a program until the test ends and returns its process id when
// it is ready.
func idling(t *testing.T, program string, args ...string) (pid int) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var output testutil.Output
	cmd.Stdout, cmd.Stderr = &output, &output
	check(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%s: %v\n%s", program, err, output.String())
		}
	})
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		return strings.Contains(output.String(), "is ready"), output.String()
	})
	return cmd.Process.Pid
}

// memory returns the most that a process had resident and what it has now
// besides pages of files, in MiB.
func memory(t *testing.T, pid int) (peak, anonymous float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	for line := range bytes.Lines(text) {
		name, value, _ := strings.Cut(string(line), ":")
		kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		switch {
		case err != nil:
		case name == "VmHWM":
			peak = kib / 1024
		case name == "RssAnon":
			anonymous = kib / 1024
		}
	}
	if peak == 0 {
		t.Fatalf("no VmHWM in\n%s", text)
	}
	return peak, anonymous
}
