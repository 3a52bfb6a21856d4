package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opnfv/clover/visibility"
)

type metricID struct{ name, service string }

const defaultMetricPoints = 100

func (m *Memory) addMetrics(points []visibility.MetricPoint) {
	for _, p := range points {
		id := metricID{p.Name, p.Service}
		if m.metrics[id] == nil {
			m.metrics[id] = map[time.Time]float64{}
		}
		m.metrics[id][p.Time.UTC()] = p.Value
	}
}

// Metrics implements visibility.MetricReader.
func (m *Memory) Metrics(ctx context.Context, q visibility.MetricQuery) ([]visibility.MetricSeries, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if q.Limit <= 0 {
		q.Limit = defaultMetricPoints
	}
	var list []visibility.MetricSeries
	for id, points := range m.metrics {
		if (q.Name != "" && q.Name != id.name) || (q.Service != "" && !visibility.SameService(q.Service, id.service)) {
			continue
		}
		series := visibility.MetricSeries{Name: id.name, Service: id.service}
		for _, at := range slices.SortedFunc(maps.Keys(points), time.Time.Compare) {
			if !at.Before(q.Range.From) && (q.Range.To.IsZero() || at.Before(q.Range.To)) {
				series.Points = append(series.Points, visibility.MetricPoint{Name: id.name, Service: id.service, Time: at, Value: points[at]})
			}
		}
		if n := len(series.Points); n > 0 {
			series.Points = series.Points[max(0, n-q.Limit):]
			list = append(list, series)
		}
	}
	slices.SortFunc(list, func(a, b visibility.MetricSeries) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Service, b.Service))
	})
	return list, nil
}

// Ledger implements visibility.LedgerReader.
func (m *Memory) Ledger(ctx context.Context) ([]visibility.LedgerEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	entries := map[account]visibility.LedgerEntry{}
	for at, e := range m.ledger {
		c := *e
		c.Rejected, c.Dropped = maps.Clone(e.Rejected), maps.Clone(e.Dropped)
		entries[at] = c
	}
	for at, mark := range m.marks {
		e, ok := entries[at]
		if !ok {
			e = visibility.LedgerEntry{
				Source: at.source, Service: at.service,
				Rejected: map[string]int64{}, Dropped: map[string]int64{},
			}
		}
		e.Watermark = mark.UTC()
		entries[at] = e
	}
	return slices.SortedFunc(maps.Values(entries), func(a, b visibility.LedgerEntry) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Service, b.Service))
	}), nil
}

// State implements visibility.StateStore.
func (m *Memory) State(ctx context.Context, name string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	value, ok := m.state[name]
	if !ok {
		return nil, fmt.Errorf("state %q: %w", name, visibility.ErrNotFound)
	}
	return slices.Clone(value), nil
}

// SetState implements visibility.StateStore.
func (m *Memory) SetState(ctx context.Context, name string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if value == nil {
		delete(m.state, name)
		return nil
	}
	m.state[name] = slices.Clone(value)
	return nil
}

// SwapState implements visibility.StateSwapper.
func (m *Memory) SwapState(ctx context.Context, name string, old, value []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return false, fmt.Errorf("state: %w", err)
	}
	held, there := m.state[name]
	if there != (old != nil) || !bytes.Equal(held, old) {
		return false, nil
	}
	if value == nil {
		delete(m.state, name)
	} else {
		m.state[name] = slices.Clone(value)
	}
	return true, nil
}

// Stats implements visibility.Admin.
func (m *Memory) Stats(ctx context.Context) (visibility.StoreStats, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	st := visibility.StoreStats{Name: "reference", Spans: int64(len(m.order))}
	if err := m.usable(ctx); err != nil {
		return st, fmt.Errorf("stats: %w", err)
	}
	rows := map[rowKey]bool{}
	for i, k := range m.order {
		rows[rowKey{k.hop.Role, k.key()}] = true
		if k.span.Observed() {
			st.Sessions++
		}
		if i == 0 || k.span.Start.Before(st.Oldest) {
			st.Oldest = k.span.Start
		}
		st.Newest = later(st.Newest, k.span.Start)
	}
	st.Traces, st.Rows = int64(len(m.summaries())), int64(len(rows))
	for _, points := range m.metrics {
		st.Metrics += int64(len(points))
	}
	return st, nil
}
