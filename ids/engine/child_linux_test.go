package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/internal/testutil"
)

// TestNothingOfAnEngineIsLeft holds that what an engine has started ends with
// it, also when it holds the engine's output.
func TestNothingOfAnEngineIsLeft(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const script = `sleep 1000 & echo $! >> "$0"; shift; exec "$@"`
	pids := filepath.Join(dir, "pids")
	s, err := engine.NewSnort(filepath.Join(dir, "snort"), engine.SnortOptions{
		Program: []string{"sh", "-c", script, pids, "-", "env", standIn + "=new", program},
		Config:  "/etc/snort/snort.lua", Interfaces: []string{"eth0"}, Logger: testutil.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replace(t.Context(), []byte("alert icmp any any -> any any (sid:1;)\n")); err != nil { // by a process of its own
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	testutil.Eventually(t, 30*time.Second, func() (bool, string) { return s.State().Running, s.State().LastExit })
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	started := strings.Fields(string(text))
	if len(started) != 2 {
		t.Errorf("started were %v, want one for the test and one for the engine", started)
	}
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		for _, pid := range started {
			if status, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && !strings.Contains(string(status), ") Z ") {
				return false, fmt.Sprintf("%s runs: %s", pid, status)
			}
		}
		return true, ""
	})
}
