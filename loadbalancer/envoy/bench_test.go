package envoy

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

// BenchmarkChange changes the servers of a group while clients send requests
// at a modest rate, and measures from the call of Apply to its return, when
// the change is in effect in every worker thread. Beside it, in the same run,
// the limit: one request to each thread, which the last step of a change is.
func BenchmarkChange(b *testing.B) {
	d := running(b, Options{Concurrency: 2})
	addr := testutil.FreeAddr(b)
	origins := []string{origin(b, "one"), origin(b, "two"), origin(b, "three")}
	with := func(i int) loadbalancer.Config {
		c := simple(addr, origins[i%3])
		c.Groups[0].Servers = append(c.Groups[0].Servers, loadbalancer.Server{Address: origins[(i+1)%3], Weight: 1 + i%9})
		return c
	}
	apply(b, d, with(0))
	ctx, cancel := context.WithCancel(b.Context())
	var clients sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
				if err != nil {
					b.Error(err)
					return
				}
				res, err := client.Do(r)
				if ctx.Err() != nil {
					return
				}
				if err != nil || res.StatusCode != http.StatusOK {
					b.Errorf("a request failed: %v", err)
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
				res.Body.Close()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	var changes, asks []time.Duration
	i := 0
	for b.Loop() {
		i++
		changes = append(changes, apply(b, d, with(i)).Took)
		start := time.Now()
		if err := d.door.passed(b.Context(), d.number); err != nil {
			b.Fatal(err)
		}
		asks = append(asks, time.Since(start))
	}
	b.StopTimer()
	cancel()
	clients.Wait()
	client.CloseIdleConnections()
	for name, list := range map[string][]time.Duration{"change": changes, "ask": asks} {
		slices.Sort(list)
		for p, at := range map[string]int{"p50": len(list) / 2, "p99": len(list) * 99 / 100} {
			b.ReportMetric(float64(list[at].Microseconds())/1000, name+"-"+p+"-ms")
		}
	}
}
