package storetest

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// Rollups implements visibility.RollupReader.
func (m *Memory) Rollups(ctx context.Context, r visibility.Range, _ time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	rows, cov, err := m.rollups(ctx, r)
	if err != nil {
		return cov, fmt.Errorf("rollups: %w", err)
	}
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return cov, fmt.Errorf("rollups: %w", err)
		}
		if err := yield(&rows[i]); err != nil {
			return cov, err
		}
	}
	return cov, nil
}

// rowKey is what makes a row.
type rowKey struct {
	role visibility.Role
	key  visibility.Key
}

// rollups computes the rollups of a range from the spans.
func (m *Memory) rollups(ctx context.Context, r visibility.Range) ([]visibility.Rollup, visibility.Coverage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	from := r.From.Truncate(visibility.MinStep)
	to := r.To.Add(visibility.MinStep - 1).Truncate(visibility.MinStep)
	cov := visibility.Coverage{Range: visibility.Range{From: from.UTC(), To: to.UTC()}, Oldest: m.floor}
	if err := m.usable(ctx); err != nil {
		return nil, cov, err
	}
	ids := map[rowKey]uint64{}
	sums := map[rowKey]map[time.Time]*visibility.Aggregate{}
	for i, k := range m.order {
		if at := k.span.Start.Truncate(time.Second).UTC(); i == 0 || at.Before(cov.First) {
			cov.First = at
		}
		row := rowKey{k.hop.Role, k.key()}
		if _, ok := ids[row]; !ok {
			folded := m.opts.Rows > 0 && len(ids) >= m.opts.Rows
			if folded {
				row.key = fold(row.key)
			}
			if _, ok := ids[row]; !ok {
				ids[row] = uint64(len(ids)) + 1
			}
			if folded && inside(k.span.Start, from, to) {
				cov.Overflow++
			}
		}
		if inside(k.span.Start, from, to) {
			bucket := k.span.Start.Truncate(visibility.MinStep).UTC()
			if sums[row] == nil {
				sums[row] = map[time.Time]*visibility.Aggregate{}
			}
			if sums[row][bucket] == nil {
				sums[row][bucket] = &visibility.Aggregate{}
			}
			sums[row][bucket].Observe(&k.span)
			k.count(&cov)
		}
	}
	var list []visibility.Rollup
	for row, buckets := range sums {
		for at, sum := range buckets {
			list = append(list, visibility.Rollup{Row: ids[row], Role: row.role, Key: &row.key, Bucket: at, Aggregate: sum})
		}
	}
	return list, cov, nil
}

func (k *kept) count(cov *visibility.Coverage) {
	if k.hop.Open && !k.settled {
		cov.Open++
	}
	if k.late {
		cov.Late++
	}
}

// key returns the span's key with the source that its trace tells.
func (k *kept) key() visibility.Key {
	key := visibility.KeyOf(&k.span)
	if k.hop.Role == visibility.RoleServer {
		key[visibility.Source] = k.hop.Source
	}
	return key
}

// fold makes the row of what has no room: only the service stays.
func fold(key visibility.Key) (folded visibility.Key) {
	for d := range folded {
		folded[d] = visibility.Other
	}
	folded[visibility.Service], folded[visibility.Destination] = key[visibility.Service], key[visibility.Destination]
	return folded
}

func inside(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

// Trace implements visibility.TraceReader.
func (m *Memory) Trace(ctx context.Context, id tracing.TraceID) ([]tracing.Span, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	spans := m.trace(id)
	if len(spans) == 0 {
		return nil, fmt.Errorf("trace %s: %w", id, visibility.ErrNotFound)
	}
	return spans, nil
}

func (m *Memory) trace(id tracing.TraceID) (spans []tracing.Span) {
	for _, k := range m.order {
		if k.span.TraceID == id {
			spans = append(spans, clone(&k.span))
		}
	}
	slices.SortStableFunc(spans, func(a, b tracing.Span) int { return a.Start.Compare(b.Start) })
	return spans
}

const defaultTraces = 20

// Traces implements visibility.TraceReader.
func (m *Memory) Traces(ctx context.Context, q visibility.TraceQuery) (visibility.TracePage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var page visibility.TracePage
	if err := m.usable(ctx); err != nil {
		return page, fmt.Errorf("traces: %w", err)
	}
	after, err := parseCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Limit <= 0 {
		q.Limit = defaultTraces
	}
	for _, sum := range m.summaries() {
		if !matches(m.trace(sum.TraceID), &sum, q) || (after != nil && newerFirst(*after, sum) >= 0) {
			continue
		}
		if len(page.Traces) == q.Limit {
			page.Next = formatCursor(&page.Traces[q.Limit-1])
			break
		}
		page.Traces = append(page.Traces, sum)
	}
	return page, nil
}

// summaries returns all traces, newest first.
func (m *Memory) summaries() (list []visibility.TraceSummary) {
	done := map[tracing.TraceID]bool{}
	for _, k := range m.order {
		if id := k.span.TraceID; !done[id] {
			done[id] = true
			list = append(list, visibility.SummarizeTrace(m.trace(id)))
		}
	}
	slices.SortFunc(list, newerFirst)
	return list
}

func newerFirst(a, b visibility.TraceSummary) int {
	return cmp.Or(b.Start.Compare(a.Start), slices.Compare(b.TraceID[:], a.TraceID[:]))
}

func matches(spans []tracing.Span, sum *visibility.TraceSummary, q visibility.TraceQuery) bool {
	if !inside(sum.Start, q.Range.From, q.Range.To) || sum.Duration < q.MinDuration {
		return false
	}
	if q.Service != "" && !slices.ContainsFunc(sum.Services, func(s string) bool { return visibility.SameService(s, q.Service) }) {
		return false
	}
	return slices.ContainsFunc(spans, func(s tracing.Span) bool { return q.Filter.MatchSpan(&s) })
}

// A cursor is the start and the id of the last trace of a page.
func formatCursor(s *visibility.TraceSummary) string {
	return fmt.Sprintf("%016x%s", uint64(s.Start.UnixNano()), s.TraceID)
}

func parseCursor(text string) (*visibility.TraceSummary, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 8+16 {
		return nil, fmt.Errorf("cursor %q is none that a previous page gave: %w", text, visibility.ErrInvalid)
	}
	var nanos int64
	for _, b := range raw[:8] {
		nanos = nanos<<8 | int64(b)
	}
	s := &visibility.TraceSummary{Start: time.Unix(0, nanos)}
	copy(s.TraceID[:], raw[8:])
	return s, nil
}
