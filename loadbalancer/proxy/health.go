package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// checkKey is a health check of one server. As long as configurations want
// the same, it goes on.
type checkKey struct {
	pool   *pool
	server *server
	check  loadbalancer.HealthCheck
}

// checker runs the health checks that the configuration wants.
type checker struct {
	logger *slog.Logger

	mu      sync.Mutex
	ctx     context.Context // of Run; nil: it does not run
	wanted  map[checkKey]bool
	running map[checkKey]context.CancelFunc
	checks  sync.WaitGroup
}

// want starts the checks that are new, and ends those that are not wanted.
func (c *checker) want(keys map[checkKey]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = keys
	c.adjust()
}

// run runs checks until ctx ends.
func (c *checker) run(ctx context.Context) {
	c.mu.Lock()
	c.ctx = ctx
	c.adjust()
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.ctx = nil
	c.adjust()
	c.mu.Unlock()
	c.checks.Wait()
}

// adjust is called with mu held.
func (c *checker) adjust() {
	for key, cancel := range c.running {
		if c.ctx == nil || !c.wanted[key] {
			cancel()
			delete(c.running, key)
		}
	}
	if c.ctx == nil {
		return
	}
	for key := range c.wanted {
		if c.running[key] == nil {
			ctx, cancel := context.WithCancel(c.ctx)
			c.running[key] = cancel
			c.checks.Go(func() { c.loop(ctx, key) })
		}
	}
}

func (c *checker) loop(ctx context.Context, key checkKey) {
	options := key.server.wire.Load().options
	options.response = 0
	transport := newTransport(options)
	transport.DisableKeepAlives = options.protocol == loadbalancer.HTTP1 // a check is of new connections too
	defer transport.CloseIdleConnections()
	t := time.NewTicker(key.check.Interval)
	defer t.Stop()
	for {
		ok, reason := probe(ctx, transport, key.server.address, key.check)
		if ctx.Err() != nil {
			return
		}
		if key.pool.checked(key.server, ok, key.check, time.Now()) {
			c.logger.Warn("proxy: health", "server", key.server.address, "healthy", ok, "reason", reason)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// probe asks a server once.
func probe(ctx context.Context, transport *http.Transport, address string, h loadbalancer.HealthCheck) (ok bool, reason string) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+h.Path, nil)
	if err != nil {
		return false, err.Error()
	}
	r.Header.Set("User-Agent", "clover-health-check")
	res, err := transport.RoundTrip(r)
	if err != nil {
		return false, err.Error()
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, bufferBytes))
	if err := res.Body.Close(); err != nil {
		return false, err.Error()
	}
	if err != nil {
		return false, err.Error()
	}
	if h.Status != 0 {
		return res.StatusCode == h.Status, res.Status
	}
	return res.StatusCode >= 200 && res.StatusCode < 400, res.Status
}
