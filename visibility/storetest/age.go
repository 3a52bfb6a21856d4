package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testRollingRetention lets days go by, each with values of its own, while
// what is too old goes: what the store needs to remember is given up and used
// again, and what is left stays right.
func testRollingRetention(k *kit) {
	const days = 6
	ctx, rng := k.Context(), rand.New(rand.NewPCG(3, 3))
	m := newMesh(37)
	for day := range days {
		midday := epoch.Add(time.Duration(day) * 24 * time.Hour)
		k.clock.set(midday.Add(2 * time.Hour))
		first := len(m.spans)
		m.traceMany(40, midday, 90*time.Minute)
		for i := range m.spans[first:] {
			s := &m.spans[first+i]
			s.URL, s.UserAgent = fmt.Sprintf("%s?day=%d", s.URL, day), fmt.Sprint("agent of day ", day)
			s.Attributes = []tracing.Attribute{{Key: "day", Value: fmt.Sprint(day)}}
		}
		today := &mesh{rng: rng, spans: m.spans[first:]}
		for _, batch := range today.deliveries(60) {
			k.deliver(&visibility.Batch{Source: source, Spans: batch, Metrics: []visibility.MetricPoint{
				{Name: fmt.Sprint("metric of day ", day), Time: midday, Value: float64(day)},
			}})
		}
		if rng.IntN(2) == 0 {
			k.settle()
		}
		k.clock.set(midday.Add(20 * time.Hour))
		if err := k.Retain(ctx); err != nil {
			k.Fatal(err)
		}
		if day%2 == 1 {
			k.reopen()
		}
		k.Logf("day %d", day)
		k.wantOneDay(m, first, day, midday)
	}
}

// wantOneDay holds that the store has the spans from first on and no others.
func (k *kit) wantOneDay(m *mesh, first, day int, midday time.Time) {
	k.Helper()
	today := &mesh{spans: m.spans[first:]}
	got, _ := k.read(visibility.Range{From: midday.Add(-48 * time.Hour), To: midday.Add(20 * time.Hour)}, 0)
	want := today.cells(nil)
	for _, mode := range []visibility.CountMode{visibility.CountSpans, visibility.CountRequests} {
		if d := differ(got.total(mode), want.total(mode)); d != "" {
			k.Errorf("counting %v: %s", mode, d)
		}
	}
	byURL := func(c cell) string { return c.key[visibility.URL] + " " + c.key[visibility.UserAgent] }
	gotBy, wantBy := got.by(byURL), want.by(byURL)
	for url, n := range wantBy {
		if gotBy[url] != n {
			k.Errorf("%s: %d requests, want %d", url, gotBy[url], n)
		}
	}
	if len(gotBy) != len(wantBy) {
		k.Errorf("%d URLs, want %d", len(gotBy), len(wantBy))
	}
	for _, i := range []int{0, len(today.spans) / 2, len(today.spans) - 1} {
		s := today.spans[i].Span
		spans, err := k.Store.Trace(k.Context(), s.TraceID)
		if err != nil {
			k.Errorf("trace %s: %v", s.TraceID, err)
			continue
		}
		for j := range spans {
			if v, _ := spans[j].Attribute("day"); v != fmt.Sprint(day) || spans[j].UserAgent != fmt.Sprint("agent of day ", day) {
				k.Errorf("a span of day %d has the values %q and %q", day, v, spans[j].UserAgent)
			}
		}
	}
	if first > 0 {
		if _, err := k.Store.Trace(k.Context(), m.spans[0].TraceID); !errors.Is(err, visibility.ErrNotFound) {
			k.Errorf("a trace that has expired: %v", err)
		}
	}
	series, err := k.Store.Metrics(k.Context(), visibility.MetricQuery{})
	if err != nil || len(series) != 1 || series[0].Name != fmt.Sprint("metric of day ", day) {
		k.Errorf("metrics %+v, %v; want those of day %d", series, err, day)
	}
}

// testOldRanges asks for ranges of which the store may have merged the finest
// buckets meanwhile: it answers for whole buckets, exactly.
func testOldRanges(k *kit) {
	rng := rand.New(rand.NewPCG(41, 41))
	m := newMesh(41)
	m.traceMany(150, epoch, 90*time.Minute)
	k.clock.set(epoch.Add(2 * time.Hour))
	for _, batch := range m.deliveries(200) {
		k.write(batch...)
	}
	for _, hours := range []int{2, 23, 25, 26, 50, 100} {
		k.clock.set(epoch.Add(time.Duration(hours) * time.Hour))
		if err := k.Retain(k.Context()); err != nil {
			k.Fatal(err)
		}
		k.Logf("after %d h", hours)
		k.wantRandomRanges(m, rng)
	}
}

// testOverflowRandom delivers random traces to a store with hardly any room
// for rows or values: totals, and those of each service, stay exact.
func testOverflowRandom(k *kit) {
	k.clock.set(epoch.Add(2 * time.Hour))
	m := newMesh(43)
	m.traceMany(150, epoch, 90*time.Minute)
	for i, batch := range m.deliveries(60) {
		k.write(batch...)
		switch i % 7 {
		case 3:
			k.settle()
		case 5:
			k.reopen()
		}
	}
	got, _ := k.read(everything, 0)
	want := m.cells(nil)
	for _, mode := range []visibility.CountMode{visibility.CountSpans, visibility.CountRequests} {
		if d := differ(got.total(mode), want.total(mode)); d != "" {
			k.Errorf("counting %v: %s", mode, d)
		}
	}
	for at, a := range got {
		if a.Count < 0 {
			k.Errorf("%v: %d", at, a.Count)
		}
	}
	for i := range m.spans {
		spans, err := k.Store.Trace(k.Context(), m.spans[i].TraceID)
		if err != nil {
			k.Fatal(err)
		}
		found := false
		for j := range spans {
			found = found || spans[j].Identity() == m.spans[i].Identity() && spans[j].URL == m.spans[i].URL && spans[j].UserAgent == m.spans[i].UserAgent
		}
		if !found {
			k.Fatalf("span %s of %s has lost its values", m.spans[i].SpanID, m.spans[i].Service)
		}
	}
}
