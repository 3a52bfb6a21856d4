package visibility_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

// injected is a reason for which an answer may be incomplete, with what the
// answer says then.
type injected struct {
	coverage visibility.Coverage
	ledger   []visibility.LedgerEntry
	inexact  bool
	code     string // of the one note; "": none
	count    int64
	detail   string
	complete bool
}

// check asks a store that has it.
func (c injected) check(t *testing.T) {
	store := newRowStore(1, 1)
	store.coverage, store.ledger, store.sum.Inexact = c.coverage, c.ledger, c.inexact
	res, err := analyticsOver(t, store).Query(t.Context(), visibility.Query{Range: halfHour})
	if err != nil {
		t.Fatal(err)
	}
	got := res.Completeness
	if got.Complete != c.complete || got.Open != c.coverage.Open {
		t.Errorf("complete %v, open %d: %+v", got.Complete, got.Open, got)
	}
	if c.code == "" {
		if len(got.Notes) != 0 {
			t.Errorf("notes %+v", got.Notes)
		}
		return
	}
	if len(got.Notes) != 1 || got.Notes[0].Code != c.code || got.Notes[0].Count != c.count || !strings.Contains(got.Notes[0].Detail, c.detail) {
		t.Errorf("notes %+v, want one %s of %d with %q", got.Notes, c.code, c.count, c.detail)
	}
}

// TestAnswersSayWhatIsMissing injects each reason for which an answer may be
// incomplete and looks for its note.
func TestAnswersSayWhatIsMissing(t *testing.T) {
	read := func(w time.Time) []visibility.LedgerEntry {
		return []visibility.LedgerEntry{{Source: "jaeger", Service: "a", Watermark: w}}
	}
	for name, c := range map[string]injected{
		"nothing": {complete: true},
		"read up to the end": {
			ledger: read(halfHour.To.Add(-10 * time.Second)), complete: true,
		},
		"read up to a minute ago": {
			ledger: append(read(halfHour.To), read(halfHour.To.Add(-time.Minute))...), code: "late", detail: "2026-03-02T12:29:00Z",
		},
		"rejected": {
			ledger: []visibility.LedgerEntry{{Source: "otlp", Service: "a", Rejected: map[string]int64{"expired": 3}}},
			code:   "rejected", count: 3, detail: "3 spans could not be stored: expired",
		},
		"dropped": {
			ledger: []visibility.LedgerEntry{{Source: "otlp", Dropped: map[string]int64{"paused": 4, "none": 0}}},
			code:   "dropped", count: 4, detail: "paused",
		},
		"truncated": {ledger: []visibility.LedgerEntry{{Source: "jaeger", Truncated: 5}}, code: "truncated", count: 5, detail: "at the source"},
		"folded":    {coverage: visibility.Coverage{Overflow: 6}, code: "overflow", count: 6, detail: visibility.Other},
		"expired": {
			coverage: visibility.Coverage{Oldest: noon.Add(time.Minute)}, code: "expired", detail: "2026-03-02T12:01:00Z",
		},
		"begins within": {
			coverage: visibility.Coverage{First: noon.Add(20 * time.Minute)}, code: "begins", detail: "2026-03-02T12:20:00Z", complete: true,
		},
		"begins after it": {
			coverage: visibility.Coverage{First: halfHour.To}, code: "begins", detail: "2026-03-02T12:30:00Z, after this range", complete: true,
		},
		"open":       {coverage: visibility.Coverage{Open: 7}},
		"taken back": {coverage: visibility.Coverage{Late: 8}, inexact: true, code: "approximate", count: 8, detail: "minimum and maximum"},
		"whole bucket": {
			coverage: visibility.Coverage{Range: visibility.Range{From: noon.Add(-time.Minute), To: halfHour.To}},
			code:     "range_snapped", detail: "2026-03-02T11:59:00Z to 2026-03-02T12:30:00Z", complete: true,
		},
	} {
		t.Run(name, c.check)
	}
}

func TestAnswersSayWhichSourceIsDown(t *testing.T) {
	status := visibility.CollectorStatus{Sources: []visibility.SourceStatus{
		{Name: "jaeger", Kind: visibility.SourceTraces, Error: "connection refused", LastSuccess: noon, Watermark: halfHour.To.Add(-5 * time.Second)},
		{Name: "other", Kind: visibility.SourceTraces, Watermark: halfHour.To},
		{Name: "prometheus", Kind: visibility.SourceMetrics, Error: "no"},
	}}
	a, err := visibility.NewAnalytics(newRowStore(1, 1), visibility.AnalyticsOptions{
		Clock: clockAt(halfHour.To), Status: func() visibility.CollectorStatus { return status },
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Completeness(t.Context())
	if err != nil || !slices.Equal(codes(c), []string{"source_down"}) || c.Notes[0].Source != "jaeger" ||
		c.Notes[0].Detail != "connection refused" || c.Complete || !c.Watermark.Equal(halfHour.To.Add(-5*time.Second)) {
		t.Errorf("%+v, %v", c, err)
	}
	if m := a.MetricsCompleteness(); m.Complete || !slices.Equal(codes(m), []string{"source_down"}) || m.Notes[0].Source != "prometheus" {
		t.Errorf("metrics: %+v", m)
	}
	// What was asked about lies before the outage.
	res, err := a.Query(t.Context(), visibility.Query{Range: visibility.Range{From: noon.Add(-time.Hour), To: noon.Add(-time.Minute)}})
	if err != nil || !res.Completeness.Complete {
		t.Errorf("before the outage: %+v, %v", res.Completeness, err)
	}
}

func TestMetricsSayWhenTheyWereRead(t *testing.T) {
	status := visibility.CollectorStatus{Sources: []visibility.SourceStatus{
		{Name: "jaeger", Kind: visibility.SourceTraces, Error: "connection refused"},
		{Name: "a", Kind: visibility.SourceMetrics, LastSuccess: noon.Add(time.Second)},
		{Name: "b", Kind: visibility.SourceMetrics, LastSuccess: noon},
		{Name: "new", Kind: visibility.SourceMetrics},
	}}
	for _, c := range []struct {
		name      string
		opts      visibility.AnalyticsOptions
		watermark time.Time
	}{
		{"sources", visibility.AnalyticsOptions{Status: func() visibility.CollectorStatus { return status }}, noon},
		{"no status", visibility.AnalyticsOptions{}, time.Time{}},
	} {
		a, err := visibility.NewAnalytics(newRowStore(1, 1), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if m := a.MetricsCompleteness(); !m.Complete || !m.Watermark.Equal(c.watermark) || len(m.Notes) != 0 {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
}

// TestRatesAreOverWhatThereIs holds that neither the time before the first
// span nor that after now makes a rate lower.
func TestRatesAreOverWhatThereIs(t *testing.T) {
	hour := visibility.Range{From: noon, To: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		first, now time.Time
		want       time.Duration
	}{
		"all of it":            {noon.Add(-time.Hour), hour.To.Add(time.Hour), time.Hour},
		"not known":            {time.Time{}, hour.To, time.Hour},
		"begins within":        {noon.Add(50 * time.Minute), hour.To, 10 * time.Minute},
		"ends after now":       {noon.Add(-time.Hour), noon.Add(30 * time.Minute), 30 * time.Minute},
		"both":                 {noon.Add(20 * time.Minute), noon.Add(30 * time.Minute), 10 * time.Minute},
		"a lone span just now": {hour.To.Add(-time.Millisecond), hour.To, visibility.MinStep},
		"begins after it":      {hour.To.Add(time.Hour), hour.To, visibility.MinStep},
	} {
		store := newRowStore(1, 1)
		store.coverage = visibility.Coverage{Range: hour, First: c.first}
		a, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{Clock: clockAt(c.now)})
		if err != nil {
			t.Fatal(err)
		}
		res, err := a.Query(t.Context(), visibility.Query{Range: hour})
		if err != nil || res.Observed != c.want {
			t.Errorf("%s: query over %v, %v, want %v", name, res.Observed, err, c.want)
		}
		graph, err := a.Graph(t.Context(), hour, nil)
		if err != nil || graph.Observed != c.want {
			t.Errorf("%s: graph over %v, %v, want %v", name, graph.Observed, err, c.want)
		}
	}
}
