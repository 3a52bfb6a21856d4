package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/loadbalancer/drivertest"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// verify runs the tests and looks for goroutines that are left.
func verify(m *testing.M) { leak.Main(m) }

// start makes a proxy and runs it until the test ends.
func start(t *testing.T, o proxy.Options) *proxy.Proxy {
	t.Helper()
	if o.Logger == nil {
		o.Logger = testutil.Logger(t)
	}
	p := proxy.New(o)
	run(t, p)
	return p
}

// run runs a proxy until the test ends.
func run(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestConformance(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Fixture {
		return drivertest.Fixture{
			Driver: start(t, proxy.Options{ShutdownTimeout: 100 * time.Millisecond}),
			Addr:   testutil.FreeAddr(t), H2CAddr: testutil.FreeAddr(t), InEffect: 10 * time.Millisecond,
		}
	})
}
