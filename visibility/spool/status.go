package spool

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opnfv/clover/visibility"
)

// Status is the account of a spool. The counts are since it was opened:
// what was found in the folder and Spooled = Delivered + Dropped + Waiting.
type Status struct {
	Waiting  int64 // spans in the spool now
	Bytes    int64 // of its files
	MaxBytes int64
	Oldest   time.Time // when the oldest batch came; zero: nothing waits

	Spooled   int64     // spans
	Delivered int64     // spans that the store has taken since, duplicates too
	Dropped   int64     // spans that the ledger has as dropped; see the Drop constants
	Refused   int64     // batches that were not taken because the spool was full
	Retries   int64     // attempts to reach the store that failed
	Error     string    // why the store did not take the last one; "" if it did
	Empty     time.Time // when the spool was empty last; zero: not since it was opened
}

// Status returns the account.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans, size := s.log.waiting()
	st := s.status
	st.Waiting, st.Bytes, st.MaxBytes = int64(spans), size, s.opt.MaxBytes
	if size == 0 {
		st.Oldest, st.Error = time.Time{}, ""
	}
	return st
}

func (s *Store) note(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// spooled notes a batch that was added, and why it was not written.
func (s *Store) spooled(spans int, cause error) {
	s.mu.Lock()
	st := &s.status
	st.Spooled += int64(spans)
	begins := st.Oldest.IsZero()
	if begins {
		st.Oldest = time.Now()
	}
	if cause != nil {
		st.Error = cause.Error()
	}
	s.mu.Unlock()
	if begins {
		s.opt.Logger.Warn("spool: the store does not take what comes, which waits on disk", "error", cause)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// emptied notes that nothing waits.
func (s *Store) emptied() {
	s.mu.Lock()
	was := !s.status.Oldest.IsZero()
	s.status.Oldest, s.status.Error, s.status.Empty = time.Time{}, "", time.Now()
	s.mu.Unlock()
	if was {
		s.opt.Logger.Info("spool: the store has all that waited")
	}
}

// Output is the account in the form in which visibility.CollectorOptions
// takes it: the spool is shown beside the sources, and answers say what they
// lack.
func (st Status) Output() visibility.SourceStatus {
	out := visibility.SourceStatus{
		Name: "spool", Kind: visibility.KindSpool, State: visibility.StateOK,
		Delivered: st.Delivered, LastSuccess: st.Empty, Errors: st.Retries,
	}
	if st.Bytes == 0 {
		return out
	}
	out.State, out.Lag = visibility.StateCatchingUp, max(0, time.Since(st.Oldest))
	out.Error = fmt.Sprintf("%d spans wait on disk for the store (%d of %d MiB)", st.Waiting, (st.Bytes+1<<20-1)>>20, st.MaxBytes>>20)
	if st.Error != "" {
		out.State, out.Failures = visibility.StateBackingOff, 1
		out.Error += ": " + st.Error
	}
	return out
}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("clover_spool_"+name, help, nil, nil)
}

var (
	descWaiting   = desc("spans", "Spans that wait on disk for the store.")
	descBytes     = desc("bytes", "Size of the spool.")
	descMax       = desc("limit_bytes", "Size above which the spool takes no more.")
	descAge       = desc("oldest_age_seconds", "For how long the oldest batch has waited.")
	descDelivered = desc("delivered_spans_total", "Spans that the store has got from the spool.")
	descDropped   = desc("dropped_spans_total", "Spans that the ledger has as dropped by the spool.")
	descRefused   = desc("refused_batches_total", "Batches that were not taken because the spool was full.")
	descRetries   = desc("retries_total", "Attempts to reach the store that failed.")
)

// Describe implements prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{descWaiting, descBytes, descMax, descAge, descDelivered, descDropped, descRefused, descRetries} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	st := s.Status()
	age := 0.0
	if !st.Oldest.IsZero() {
		age = max(0, time.Since(st.Oldest).Seconds())
	}
	for _, m := range [...]struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{
		{descWaiting, prometheus.GaugeValue, float64(st.Waiting)}, {descBytes, prometheus.GaugeValue, float64(st.Bytes)},
		{descMax, prometheus.GaugeValue, float64(st.MaxBytes)}, {descAge, prometheus.GaugeValue, age},
		{descDelivered, prometheus.CounterValue, float64(st.Delivered)}, {descDropped, prometheus.CounterValue, float64(st.Dropped)},
		{descRefused, prometheus.CounterValue, float64(st.Refused)}, {descRetries, prometheus.CounterValue, float64(st.Retries)},
	} {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value)
	}
}
