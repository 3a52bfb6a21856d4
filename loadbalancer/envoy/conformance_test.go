package envoy

import (
	"os"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer/drivertest"
)

// TestConformance runs the suite of drivers.
func TestConformance(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Fixture {
		var inEffect time.Duration
		if os.Getenv("CLOVER_LB_CHANGES") != "" {
			inEffect = 10 * time.Millisecond
		}
		return drivertest.Fixture{
			// One thread: two would take servers in turn each for itself.
			Driver: running(t, Options{Concurrency: 1}),
			Addr:   testutil.FreeAddr(t), H2CAddr: testutil.FreeAddr(t),
			InEffect: inEffect,
		}
	})
}
