package nginx

import (
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer/drivertest"
)

// TestConformance runs the suite of drivers with each version.
func TestConformance(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		drivertest.Run(t, func(t *testing.T) drivertest.Fixture {
			// One worker: two would take servers in turn each for itself.
			o := Options{Program: path, Workers: 1, KeepAlive: time.Second, DrainTime: 200 * time.Millisecond}
			return drivertest.Fixture{
				Driver: running(t, o), Addr: testutil.FreeAddr(t), H2CAddr: testutil.FreeAddr(t), Changes: 10,
			}
		})
	})
}
