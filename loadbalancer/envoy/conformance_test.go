package envoy

import (
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer/drivertest"
)

// TestConformance runs the suite of drivers. Its clients take all that the
// machine has, so how fast a change is in effect is measured by
// BenchmarkChange.
func TestConformance(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Fixture {
		return drivertest.Fixture{
			// One thread: two would take servers in turn each for itself.
			Driver: running(t, Options{Concurrency: 1}),
			Addr:   testutil.FreeAddr(t), H2CAddr: testutil.FreeAddr(t),
		}
	})
}
