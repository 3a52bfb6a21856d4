package envoy

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// running starts a driver with a real Envoy until the end of the test.
func running(t testing.TB, o Options) *Driver {
	t.Helper()
	o.Program = testutil.Require(t, components.Envoy())
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "clover-envoy-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		o.Dir = dir
	}
	o.ApplyTimeout = 2 * time.Minute // the machine may be busy
	d, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			text, err := os.ReadFile(d.file(logFile))
			t.Logf("log of envoy: %v\n%.8000s", err, text)
		}
	})
	return d
}
