package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// Trace implements visibility.TraceReader.
func (s *Store) Trace(ctx context.Context, id tracing.TraceID) ([]tracing.Span, error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	v, err := s.view(ctx, visibility.Range{})
	if err != nil {
		return nil, err
	}
	spans, err := s.trace(ctx, v, id)
	if err == nil && len(spans) == 0 {
		err = fmt.Errorf("trace %s: %w", id, visibility.ErrNotFound)
	}
	return spans, failure(ctx, err)
}

// trace reads the spans of a trace, ordered by start.
func (s *Store) trace(ctx context.Context, v *view, id tracing.TraceID) ([]tracing.Span, error) {
	stored, _, err := s.loadTrace(ctx, v.snap, id, v.floor, void*s.opts.Limits.TraceSpans)
	spans := make([]tracing.Span, len(stored))
	for i := range stored {
		spans[i] = stored[i].Span
	}
	slices.SortStableFunc(spans, func(a, b tracing.Span) int { return a.Start.Compare(b.Start) })
	return spans, err
}

// Limits of a trace search.
const (
	defaultTraces = 20
	// maxExamined bounds the index entries that one page looks at. A search
	// that reaches it returns what it has found, with a cursor to go on from.
	maxExamined = 20_000
	// pageTime bounds a page likewise.
	pageTime = 2 * time.Second
	// examinedAtOnce is the number of traces that are read at once.
	examinedAtOnce = 16
)

// Traces implements visibility.TraceReader. A page may have fewer traces than
// asked for, even none, and still a cursor: then the search goes on there.
func (s *Store) Traces(ctx context.Context, q visibility.TraceQuery) (page visibility.TracePage, err error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return page, err
	}
	defer end()
	if q.Limit <= 0 {
		q.Limit = defaultTraces
	}
	cursor, err := parseCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	v, err := s.view(ctx, visibility.Range{}, kindCount)
	if err != nil {
		return page, err
	}
	t := traceSearch{s: s, v: v, q: q, page: &page, deadline: time.Now().Add(pageTime), cursor: cursor, service: s.oneService(q.Service)}
	if cursor != nil { // the index of the first page, whatever came since
		t.service = cursor.service
	}
	err = t.run(ctx)
	// The index has whole seconds; within the page order is exact.
	slices.SortStableFunc(page.Traces, func(a, b visibility.TraceSummary) int { return b.Start.Compare(a.Start) })
	return page, failure(ctx, err)
}

// oneService returns the key of the one service that a name means, or "" if
// there are none or several.
func (s *Store) oneService(name string) (key string) {
	if name == "" {
		return ""
	}
	for _, known := range s.dict.services() {
		if !visibility.SameService(known, name) {
			continue
		}
		if key != "" {
			return ""
		}
		key = keyName(known)
	}
	return key
}

type traceSearch struct {
	s        *Store
	v        *view
	q        visibility.TraceQuery
	page     *visibility.TracePage
	cursor   *indexEntry
	service  string // index to walk: of this service, or "" for all traces
	examined int
	deadline time.Time
	waiting  []indexEntry // read together
}

func (t *traceSearch) run(ctx context.Context) error {
	slots, err := t.slots(ctx)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		more, err := t.slot(ctx, slot)
		if err != nil || !more {
			return err
		}
	}
	_, err = t.examine(ctx)
	return err
}

// slots lists the 10 minutes that hold spans and are searched, newest first.
func (t *traceSearch) slots(ctx context.Context) (slots []int, err error) {
	err = t.s.eachCell(ctx, t.v, kindCount, func(_, name string, _ cell) error {
		slot := slotNumber(name)
		switch at := slotStart(slot); {
		case at.Before(t.v.floor), at.After(t.q.Range.To), !slotStart(slot + 1).After(t.q.Range.From):
		case t.cursor != nil && slot > t.cursor.second/slotSeconds:
		default:
			slots = append(slots, slot)
		}
		return nil
	})
	slices.Sort(slots)
	slots = slices.Compact(slots)
	slices.Reverse(slots)
	return slots, err
}

// newer orders index entries as a search meets them.
func newer(a, b indexEntry) int {
	return cmp.Or(cmp.Compare(b.second, a.second), bytes.Compare(b.trace[:], a.trace[:]))
}

// slot walks the partitions of ten minutes together, from new to old. Each
// trace is met once for every second in which one of its spans started, and
// taken at its start only: the trace's, or the service's within it if a
// service's index is walked.
func (t *traceSearch) slot(ctx context.Context, slot int) (more bool, err error) {
	cursors := make([]shardCursor, t.s.shards)
	err = each(ctx, len(cursors), readers, func(_ context.Context, i int) error {
		// Not the context of each, which ends before the next pages are read.
		cursors[i] = shardCursor{iter: t.query(slot, i).IterContext(ctx)}
		return cursors[i].next()
	})
	defer func() {
		for _, c := range cursors {
			if c.iter != nil {
				_ = c.iter.Close()
			}
		}
	}()
	if err != nil {
		return false, err
	}
	for {
		first := -1
		for i := range cursors {
			if cursors[i].valid && (first < 0 || newer(cursors[i].entry, cursors[first].entry) < 0) {
				first = i
			}
		}
		if first < 0 {
			return true, nil
		}
		e := cursors[first].entry
		if err := cursors[first].next(); err != nil {
			return false, err
		}
		if more, err := t.meet(ctx, e); err != nil || !more {
			return false, err
		}
	}
}

// query asks for the index entries of one partition.
func (t *traceSearch) query(slot, shard int) *gocql.Query {
	cql, args := "SELECT second, traceid FROM trace_index WHERE service = ? AND slot = ? AND shard = ?", []any{t.service, slot, int16(shard)}
	if t.cursor != nil && t.cursor.second/slotSeconds == slot {
		cql += " AND (second, traceid) < (?, ?)"
		args = append(args, t.cursor.second, t.cursor.trace[:])
	}
	return t.s.session.Query(cql, args...).PageSize(max(20, min(pageSize, t.q.Limit)))
}

// shardCursor is a place in one partition of the index.
type shardCursor struct {
	iter  *gocql.Iter
	entry indexEntry
	valid bool
}

func (c *shardCursor) next() error {
	var trace []byte
	c.valid = c.iter.Scan(&c.entry.second, &trace)
	copy(c.entry.trace[:], trace)
	if !c.valid {
		return c.iter.Close()
	}
	return nil
}

// meet takes up an index entry. It returns false when the page is full.
func (t *traceSearch) meet(ctx context.Context, e indexEntry) (more bool, err error) {
	e.service = t.service
	at := time.Unix(int64(e.second), 0)
	if !at.After(t.q.Range.To) && !at.Add(time.Second).Before(t.q.Range.From) {
		t.waiting = append(t.waiting, e)
	}
	if len(t.waiting) < min(examinedAtOnce, t.q.Limit) {
		return true, nil
	}
	return t.examine(ctx)
}

// examine adds the traces of the waiting entries to the page if they match.
func (t *traceSearch) examine(ctx context.Context) (more bool, err error) {
	found := make([][]tracing.Span, len(t.waiting))
	err = each(ctx, len(t.waiting), examinedAtOnce, func(ctx context.Context, i int) error {
		spans, err := t.s.trace(ctx, t.v, t.waiting[i].trace)
		found[i] = spans
		return err
	})
	if err != nil {
		return false, err
	}
	for i, e := range t.waiting {
		t.examined++
		if spans := found[i]; len(spans) > 0 && t.startsAt(spans, e) && storekit.Matches(&t.q, spans) {
			t.page.Traces = append(t.page.Traces, visibility.SummarizeTrace(spans))
		}
		if len(t.page.Traces) >= t.q.Limit || t.examined >= maxExamined || time.Now().After(t.deadline) {
			t.page.Next = formatCursor(e)
			return false, nil
		}
	}
	t.waiting = t.waiting[:0]
	return true, nil
}

// startsAt reports whether the index entry is the one at which a trace is
// met, and within the range that is searched.
func (t *traceSearch) startsAt(spans []tracing.Span, e indexEntry) bool {
	start := spans[0].Start
	if t.service != "" {
		i := slices.IndexFunc(spans, func(s tracing.Span) bool { return keyName(s.Service) == t.service })
		if i < 0 {
			return false
		}
		start = spans[i].Start
	}
	return start.Unix() == int64(e.second) && !start.Before(t.q.Range.From) && start.Before(t.q.Range.To)
}

// A cursor is the index entry that the previous page ended with.
func formatCursor(e indexEntry) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(e.second))
	return hex.EncodeToString(append(append(b, e.trace[:]...), e.service...))
}

func parseCursor(s string) (*indexEntry, error) {
	if s == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) < 8+16 || raw[0]|raw[1]|raw[2]|raw[3] != 0 || raw[4] > 127 {
		return nil, fmt.Errorf("cursor %q is none that a previous page gave: %w", s, visibility.ErrInvalid)
	}
	e := &indexEntry{second: int(binary.BigEndian.Uint64(raw)), service: text(string(raw[24:]))}
	copy(e.trace[:], raw[8:])
	return e, nil
}
