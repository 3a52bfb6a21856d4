package nginx

import (
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer/drivertest"
)

// TestConformance runs the suite of drivers with each version.
func TestConformance(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		drivertest.Run(t, func(t *testing.T) drivertest.Fixture {
			// One worker: two would take servers in turn each for itself. Only
			// under load is there somebody to wait for.
			o := Options{Program: path, Workers: 1, KeepAlive: time.Second, DrainTime: time.Millisecond}
			if strings.HasSuffix(t.Name(), "/Load") {
				// A client that the machine keeps waiting for longer loses a
				// request.
				o.KeepAlive, o.DrainTime = 3*time.Second, 3*time.Second
			}
			return drivertest.Fixture{
				Driver: running(t, o), Addr: testutil.FreeAddr(t), H2CAddr: testutil.FreeAddr(t), Changes: 2,
			}
		})
	})
}
