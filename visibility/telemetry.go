package visibility

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MetricsOptions say what [NewMetrics] exposes. Store is needed, the rest is
// left out if nil.
type MetricsOptions struct {
	Store     Store
	Collector *Collector
	Ingest    *Ingest
	Hub       *Hub
	// MaxServices bounds the values of the label service of each source:
	// the services with the most spans have their own, the rest is summed
	// up as "(other)". 0: 100.
	MaxServices int
	// Timeout bounds what one scrape may ask of the store. 0: 5 s.
	Timeout time.Duration
}

// Metrics exposes Clover's own figures to Prometheus. Counters of spans come
// from the ledger: they survive a restart, and begin anew after Clear.
type Metrics struct{ opt MetricsOptions }

// NewMetrics returns a collector to be registered with a Prometheus registry.
func NewMetrics(opt MetricsOptions) (*Metrics, error) {
	if opt.Store == nil {
		return nil, invalidf("metrics: a store is needed")
	}
	if opt.MaxServices <= 0 {
		opt.MaxServices = 100
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 5 * time.Second
	}
	return &Metrics{opt}, nil
}

var _ prometheus.Collector = (*Metrics)(nil)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("clover_"+name, help, labels, nil)
}

// The figures of the ledger.
var (
	descSeen      = desc("spans_seen_total", "Spans that a source saw or delivered, each time.", "source", "service")
	descFate      = desc("spans_total", "Spans by what became of them; the sum over fates is clover_spans_seen_total.", "source", "service", "fate", "reason")
	descWatermark = desc("watermark_timestamp_seconds", "Time up to which a service of a source has been read.", "source", "service")
)

// The figures of sources.
var (
	descUp           = desc("source_up", "1 if the last pull of the source succeeded, wholly or in part.", "source", "kind")
	descLag          = desc("source_lag_seconds", "Age of the watermark that is furthest behind.", "source", "kind")
	descPulls        = desc("source_pulls_total", "Pulls that ended.", "source", "kind")
	descPullErrors   = desc("source_errors_total", "Failures of pulls and of single services.", "source", "kind")
	descPullDuration = desc("source_last_pull_duration_seconds", "Duration of the last pull.", "source", "kind")
	descDelivered    = desc("source_delivered_total", "Spans or metric points written to the store.", "source", "kind")
	descMissing      = desc("source_missing_metrics", "Selected metrics without a value.", "source", "kind")
	descPaused       = desc("collector_paused", "1 while collecting is paused.")
)

// The figures of pushed spans and of live streams.
var (
	descDeliveries  = desc("ingest_deliveries_total", "Deliveries by result.", "result")
	descInFlight    = desc("ingest_in_flight", "Deliveries that wait for the store.")
	descSubscribers = desc("live_subscribers", "Subscribers of live spans.")
	descLiveDropped = desc("live_dropped_spans_total", "Spans that a subscriber was too slow for.")
)

// The figures of the store.
var (
	descStoreUp = desc("store_up", "1 if the store answered this scrape.")
	descStored  = desc("store_items", "What the store holds, by kind.", "kind")
	descBytes   = desc("store_bytes", "Size of the store on disk.")
	descOldest  = desc("store_oldest_span_timestamp_seconds", "Start of the oldest span.")
	descNewest  = desc("store_newest_span_timestamp_seconds", "Start of the newest span.")
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{
		descSeen, descFate, descWatermark,
		descUp, descLag, descPulls, descPullErrors, descPullDuration, descDelivered, descMissing, descPaused,
		descDeliveries, descInFlight, descSubscribers, descLiveDropped,
		descStoreUp, descStored, descBytes, descOldest, descNewest,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. If the store does not answer in
// time, clover_store_up is 0 and its figures are left out.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), m.opt.Timeout)
	defer cancel()
	out := metricSink(ch)
	out.gauge(descStoreUp, truth(m.collectStore(ctx, out) == nil))
	m.collectSources(out)
	if in := m.opt.Ingest; in != nil {
		st := in.Status()
		out.counter(descDeliveries, st.Deliveries, "accepted")
		out.counter(descDeliveries, st.Failures, "refused")
		out.gauge(descInFlight, float64(st.InFlight))
	}
	if m.opt.Hub != nil {
		st := m.opt.Hub.Stats()
		out.gauge(descSubscribers, float64(st.Subscribers))
		out.counter(descLiveDropped, st.Dropped)
	}
}

type metricSink chan<- prometheus.Metric

func (s metricSink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s metricSink) counter(d *prometheus.Desc, v int64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (s metricSink) time(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.gauge(d, float64(t.UnixNano())/1e9, labels...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *Metrics) collectStore(ctx context.Context, out metricSink) error {
	stats, err := m.opt.Store.Stats(ctx)
	if err != nil {
		return err
	}
	entries, err := m.opt.Store.Ledger(ctx)
	if err != nil {
		return err
	}
	out.gauge(descStored, float64(stats.Spans), "spans")
	out.gauge(descStored, float64(stats.Traces), "traces")
	out.gauge(descStored, float64(stats.Metrics), "metrics")
	out.gauge(descStored, float64(stats.Rows), "rollup_rows")
	out.gauge(descBytes, float64(stats.BytesOnDisk))
	out.time(descOldest, stats.Oldest)
	out.time(descNewest, stats.Newest)
	for _, e := range boundServices(entries, m.opt.MaxServices) {
		out.ledger(&e)
	}
	return nil
}

func (s metricSink) ledger(e *LedgerEntry) {
	s.counter(descSeen, e.Seen, e.Source, e.Service)
	fate := func(f Fate, n int64, reason string) { s.counter(descFate, n, e.Source, e.Service, f.String(), reason) }
	fate(FateKept, e.Kept, "")
	fate(FateDuplicate, e.Duplicate, "")
	fate(FateTruncated, e.Truncated, "")
	for reason, n := range e.Rejected {
		fate(FateRejected, n, reason)
	}
	for reason, n := range e.Dropped {
		fate(FateDropped, n, reason)
	}
	s.time(descWatermark, e.Watermark, e.Source, e.Service)
}

// boundServices merges all but the limit entries with the most spans of each
// source into one.
func boundServices(entries []LedgerEntry, limit int) []LedgerEntry {
	bySeen := slices.Clone(entries)
	slices.SortStableFunc(bySeen, func(a, b LedgerEntry) int { return cmp.Compare(b.Seen, a.Seen) })
	var out []LedgerEntry
	taken, rest := map[string]int{}, map[string]*LedgerEntry{}
	for _, e := range bySeen {
		if taken[e.Source]++; taken[e.Source] <= limit {
			out = append(out, e)
			continue
		}
		if rest[e.Source] == nil {
			rest[e.Source] = &LedgerEntry{
				Source: e.Source, Service: Other, Watermark: e.Watermark,
				Rejected: map[string]int64{}, Dropped: map[string]int64{},
			}
		}
		rest[e.Source].merge(&e)
	}
	for _, e := range rest {
		out = append(out, *e)
	}
	return out
}

// merge adds other to e; the older watermark stays.
func (e *LedgerEntry) merge(other *LedgerEntry) {
	e.Seen += other.Seen
	e.Kept += other.Kept
	e.Duplicate += other.Duplicate
	e.Truncated += other.Truncated
	for reason, n := range other.Rejected {
		e.Rejected[reason] += n
	}
	for reason, n := range other.Dropped {
		e.Dropped[reason] += n
	}
	if !other.Watermark.IsZero() && other.Watermark.Before(e.Watermark) {
		e.Watermark = other.Watermark
	}
}

func (m *Metrics) collectSources(out metricSink) {
	if m.opt.Collector == nil {
		return
	}
	st := m.opt.Collector.Status()
	out.gauge(descPaused, truth(st.Paused))
	for _, s := range st.Sources {
		labels := []string{s.Name, string(s.Kind)}
		out.gauge(descUp, truth(s.Failures == 0 && s.State != StateStarting), labels...)
		out.counter(descPulls, s.Pulls, labels...)
		out.counter(descPullErrors, s.Errors, labels...)
		out.gauge(descPullDuration, s.LastPull.Seconds(), labels...)
		out.counter(descDelivered, s.Delivered, labels...)
		if !s.LastSuccess.IsZero() {
			out.gauge(descLag, s.Lag.Seconds(), labels...)
		}
		if s.Kind == SourceMetrics {
			out.gauge(descMissing, float64(len(s.Missing)), labels...)
		}
	}
}
