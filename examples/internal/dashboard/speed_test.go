package dashboard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

// TestSpeed measures how quick the first view is, by Chromium's own trace,
// with CLOVER_SPANS spans (20,000) in the store.
func TestSpeed(t *testing.T) {
	b := newBrowser(t)
	spans := 20_000
	if text := os.Getenv("CLOVER_SPANS"); text != "" {
		var err error
		spans, err = strconv.Atoi(text)
		check(t, err)
	}
	dir := t.TempDir()
	began := time.Now()
	check(t, fill(t.Context(), dir, spans))
	t.Logf("%d spans stored in %v", spans, time.Since(began).Round(time.Second))
	c := start(t, node.Options{DataDir: dir})
	b.isolate(t, c)
	b.run(t, "speed.test.mjs", map[string]string{"CLOVER_URL": c.url()})
}

// fill stores spans of a mesh of 50 services, spread over the last six hours.
func fill(ctx context.Context, dir string, spans int) error {
	const batch, services = 5000, 50
	store, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	rng, now := rand.New(rand.NewPCG(1, 1)), time.Now()
	// Several writers share the wait for the disk.
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for n := 0; n < spans; n += batch {
		list := make([]tracing.Span, min(batch, spans-n))
		for i := range list {
			// Six hours ago first, as they would have arrived.
			age := time.Duration(float64(6*time.Hour) * float64(spans-n-i) / float64(spans))
			list[i] = request(uint64(n+i+1), rng, now.Add(-age), services)
		}
		group.Go(func() error {
			_, err := store.Write(ctx, &visibility.Batch{Source: "generated", Spans: list})
			return err
		})
	}
	return errors.Join(group.Wait(), store.Close())
}

// request is one request to one of the services.
func request(id uint64, rng *rand.Rand, at time.Time, services int) tracing.Span {
	s := tracing.NewSpan()
	binary.BigEndian.PutUint64(s.TraceID[8:], id)
	binary.BigEndian.PutUint64(s.SpanID[:], id)
	s.Kind, s.Start = tracing.KindServer, at
	s.Duration = time.Duration(float64(time.Millisecond) * (1 + 20*rng.ExpFloat64()))
	s.Service, s.Operation = fmt.Sprintf("service-%02d", rng.IntN(services)), "GET"
	s.Method, s.URL = "GET", fmt.Sprintf("http://%s/page/%d", s.Service, rng.IntN(20))
	s.UserAgent, s.StatusCode = "generator", 200
	if rng.IntN(50) == 0 {
		s.StatusCode, s.Error = 503, true
	}
	return s
}
