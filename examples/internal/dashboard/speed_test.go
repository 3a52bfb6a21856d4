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
	"github.com/opnfv/clover/internal/testutil/browser"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

// TestSpeed measures how quick the first view is, by Chromium's own trace,
// with CLOVER_SPANS spans (20,000) in the store.
func TestSpeed(t *testing.T) {
	b := browser.New(t, repository)
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
	b.Isolate(t, c.addrs.REST)
	b.Run(t, "speed.test.mjs", map[string]string{"CLOVER_URL": c.url()})
}

// The mesh of which fill stores spans: chains of services that ask each other.
const chains, links = 10, 5

// fill stores spans of a mesh, spread over the last six hours.
func fill(ctx context.Context, dir string, spans int) error {
	const batch = 20_000
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
		list := make([]tracing.Span, 0, batch)
		for len(list) < min(batch, spans-n) {
			// Six hours ago first, as they would have arrived.
			age := time.Duration(float64(6*time.Hour) * float64(spans-n-len(list)) / float64(spans))
			list = appendTrace(list, rng, now.Add(-age))
		}
		group.Go(func() error {
			_, err := store.Write(ctx, &visibility.Batch{Source: "generated", Spans: list})
			return err
		})
	}
	return errors.Join(group.Wait(), store.Close())
}

// appendTrace appends a request to one of the chains, whose services answer
// one after the other.
func appendTrace(list []tracing.Span, rng *rand.Rand, at time.Time) []tracing.Span {
	chain, page, failed := rng.IntN(chains), rng.IntN(20), rng.IntN(50) == 0
	duration := time.Duration(float64(time.Millisecond) * (5 + 20*rng.ExpFloat64()))
	var trace tracing.TraceID
	binary.BigEndian.PutUint64(trace[:], rng.Uint64())
	binary.BigEndian.PutUint64(trace[8:], rng.Uint64())
	var parent tracing.SpanID
	for link := range links {
		s := tracing.NewSpan()
		s.TraceID, s.ParentID, s.Kind = trace, parent, tracing.KindServer
		binary.BigEndian.PutUint64(s.SpanID[:], rng.Uint64()|1)
		s.Start = at.Add(time.Duration(link) * 400 * time.Microsecond)
		s.Duration = duration - time.Duration(link)*900*time.Microsecond
		s.Service, s.Operation = fmt.Sprintf("service-%02d", chain*links+link), "GET"
		s.Method, s.URL = "GET", fmt.Sprintf("http://%s/page/%d", s.Service, page)
		s.UserAgent, s.StatusCode = "generator", 200
		if failed {
			s.StatusCode, s.Error = 503, true
		}
		parent = s.SpanID
		list = append(list, s)
	}
	return list
}
