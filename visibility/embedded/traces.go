package embedded

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// indexEntry says that a trace has a span that started in that second.
type indexEntry struct {
	hour, service uint32
	second        uint16
	trace         tracing.TraceID
}

func parseIndexKey(key []byte) indexEntry {
	e := indexEntry{
		hour:    binary.BigEndian.Uint32(key[1:]),
		service: binary.BigEndian.Uint32(key[5:]),
		second:  binary.BigEndian.Uint16(key[9:]),
	}
	copy(e.trace[:], key[11:])
	return e
}

func (e indexEntry) at() time.Time {
	return hourStart(e.hour).Add(time.Duration(e.second) * time.Second)
}

// Trace implements visibility.TraceReader.
func (s *Store) Trace(ctx context.Context, id tracing.TraceID) (spans []tracing.Span, err error) {
	err = s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		hours, err := snap.hours()
		if err != nil {
			return err
		}
		spans, err = snap.trace(ctx, id, hours)
		return err
	})
	if err == nil && len(spans) == 0 {
		err = fmt.Errorf("trace %s: %w", id, visibility.ErrNotFound)
	}
	return spans, err
}

// hours lists the partitions that hold spans.
func (snap *snapshot) hours() (hours []uint32, err error) {
	err = snap.scan([]byte{spaceCount}, []byte{spaceCount + 1}, func(key, _ []byte) error {
		hours = append(hours, binary.BigEndian.Uint32(key[1:]))
		return nil
	})
	return hours, err
}

// trace reads the spans of a trace in the given hours, ordered by start.
func (snap *snapshot) trace(ctx context.Context, id tracing.TraceID, hours []uint32) ([]tracing.Span, error) {
	it, err := snap.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceSpan}, UpperBound: []byte{spaceSpan + 1}, UseL6Filters: true,
	})
	if err != nil {
		return nil, err
	}
	var spans []tracing.Span
	for _, hour := range hours {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, it.Close())
		}
		for ok := it.SeekPrefixGE(appendTracePrefix(nil, spaceSpan, hour, id)); ok; ok = it.Next() {
			span, err := decodeSpan(it.Key(), it.Value(), snap.view)
			if err != nil {
				return nil, errors.Join(err, it.Close())
			}
			spans = append(spans, span)
		}
	}
	slices.SortStableFunc(spans, func(a, b tracing.Span) int { return a.Start.Compare(b.Start) })
	return spans, it.Close()
}

// Limits of a trace search.
const (
	defaultTraces = 20
	// maxExamined bounds the traces that one page looks at. A search that
	// reaches it returns what it has found, with a cursor to go on from.
	maxExamined = 50_000
	// maxSilence is the number of hours without a span after which a trace
	// that goes on is listed a second time. To look for more costs about
	// 8 µs for each trace listed and hour.
	maxSilence = 24
	// pageTime bounds a page likewise.
	pageTime = 2 * time.Second
)

// Traces implements visibility.TraceReader. A page may have fewer traces than
// asked for, even none, and still a cursor: then the search goes on there.
func (s *Store) Traces(ctx context.Context, q visibility.TraceQuery) (page visibility.TracePage, err error) {
	if q.Limit <= 0 {
		q.Limit = defaultTraces
	}
	err = s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		search := traceSearch{snap: snap, q: q, page: &page, deadline: time.Now().Add(pageTime)}
		return search.run(ctx)
	})
	// The index has whole seconds; within the page order is exact.
	slices.SortStableFunc(page.Traces, func(a, b visibility.TraceSummary) int { return b.Start.Compare(a.Start) })
	return page, err
}

type traceSearch struct {
	snap     *snapshot
	q        visibility.TraceQuery
	page     *visibility.TracePage
	examined int
	deadline time.Time
	hours    []uint32
	service  uint32 // index to walk: of this service, or 0 for all traces
}

func (t *traceSearch) run(ctx context.Context) error {
	hours, err := t.snap.hours()
	if err != nil {
		return err
	}
	t.hours, t.service = hours, t.snap.serviceID(t.q.Service)
	cursor, err := parseCursor(t.q.Cursor)
	if err != nil {
		return err
	}
	if cursor != nil { // the index of the first page, whatever came since
		t.service = cursor.service
	}
	if int(t.service) >= len(t.snap.strings) {
		return fmt.Errorf("cursor %q belongs to another store: %w", t.q.Cursor, visibility.ErrInvalid)
	}
	it, err := t.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceIndex}, UpperBound: []byte{spaceIndex + 1}})
	if err != nil {
		return err
	}
	for _, hour := range slices.Backward(hours) {
		if hourStart(hour).After(t.q.Range.To) || !hourStart(hour+1).After(t.q.Range.From) {
			continue
		}
		if cursor != nil && hour > cursor.hour {
			continue
		}
		more, err := t.hour(ctx, it, hour, cursor)
		if err != nil || !more {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}

// serviceID returns the index of the one service that name means, or 0 if
// there are none or several.
func (snap *snapshot) serviceID(name string) (id uint32) {
	if name == "" {
		return 0
	}
	for _, r := range snap.rows {
		if r == nil || r.ids.ids[visibility.Service] == id || !visibility.SameService(r.key[visibility.Service], name) {
			continue
		}
		if id != 0 {
			return 0
		}
		id = r.ids.ids[visibility.Service]
	}
	return id
}

// hour walks one partition from new to old. Each trace is met once for every
// second in which one of its spans started, and taken at its start only: the
// trace's, or the service's within it if a service's index is walked.
func (t *traceSearch) hour(ctx context.Context, it *pebble.Iterator, hour uint32, cursor *indexEntry) (more bool, err error) {
	from := appendIndexKey(nil, hour, t.service, 0, tracing.TraceID{})
	to := appendIndexKey(nil, hour, t.service+1, 0, tracing.TraceID{})
	if cursor != nil && cursor.hour == hour {
		to = appendIndexKey(nil, hour, t.service, cursor.second, cursor.trace)
	}
	for ok := it.SeekLT(to); ok && slices.Compare(it.Key(), from) >= 0; ok = it.Prev() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		e := parseIndexKey(it.Key())
		if e.at().After(t.q.Range.To) || e.at().Add(time.Second).Before(t.q.Range.From) {
			continue
		}
		if err := t.examine(ctx, e); err != nil {
			return false, err
		}
		t.examined++
		if len(t.page.Traces) >= t.q.Limit || t.examined >= maxExamined || time.Now().After(t.deadline) {
			t.page.Next = formatCursor(e)
			return false, nil
		}
	}
	return true, nil
}

// examine adds the trace of an index entry to the page if it matches.
func (t *traceSearch) examine(ctx context.Context, e indexEntry) error {
	spans, err := t.around(ctx, e)
	if err != nil || len(spans) == 0 || !t.startsAt(spans, e) || !storekit.Matches(&t.q, spans) {
		return err
	}
	// More of it, for what goes on after a silence, and to leave out what has
	// begun before one and is met there.
	near := within(t.hours, max(e.hour, maxSilence)-maxSilence, hourOf(spans[len(spans)-1].Start)+maxSilence)
	if spans, err = t.snap.trace(ctx, e.trace, near); err == nil && t.startsAt(spans, e) {
		t.page.Traces = append(t.page.Traces, visibility.SummarizeTrace(spans))
	}
	return err
}

// within returns those of the sorted hours that lie between two, inclusively.
func within(hours []uint32, from, to uint32) []uint32 {
	i, _ := slices.BinarySearch(hours, from)
	j, _ := slices.BinarySearch(hours, to+1)
	return hours[i:max(i, j)]
}

// around reads the part of a trace that an index entry belongs to: as far as
// no full hour without a span of it lies between.
func (t *traceSearch) around(ctx context.Context, e indexEntry) ([]tracing.Span, error) {
	for from, to := max(e.hour, 1)-1, e.hour+1; ; {
		spans, err := t.snap.trace(ctx, e.trace, within(t.hours, from, to))
		if err != nil || len(spans) == 0 {
			return spans, err
		}
		first, last := hourOf(spans[0].Start), hourOf(spans[len(spans)-1].Start)
		if (first > from || from == 0) && last < to {
			return spans, nil
		}
		width := to - from
		if first == from {
			from -= min(from, width)
		}
		if last == to {
			to += width
		}
	}
}

// startsAt reports whether the index entry is the one at which a trace is
// met, and within the range that is searched.
func (t *traceSearch) startsAt(spans []tracing.Span, e indexEntry) bool {
	start := t.startOf(spans)
	return start.Truncate(time.Second).Equal(e.at()) && !start.Before(t.q.Range.From) && start.Before(t.q.Range.To)
}

// startOf returns the time at which the index that is walked has the trace.
func (t *traceSearch) startOf(spans []tracing.Span) time.Time {
	if t.service != 0 {
		name := t.snap.strings[t.service]
		if i := slices.IndexFunc(spans, func(s tracing.Span) bool { return s.Service == name }); i >= 0 {
			return spans[i].Start
		}
	}
	return spans[0].Start
}

// A cursor is the index entry that the previous page ended with.
func formatCursor(e indexEntry) string {
	return hex.EncodeToString(appendIndexKey(nil, e.hour, e.service, e.second, e.trace))
}

func parseCursor(s string) (*indexEntry, error) {
	if s == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != indexKeyLen || raw[0] != spaceIndex {
		return nil, fmt.Errorf("cursor %q is none that a previous page gave: %w", s, visibility.ErrInvalid)
	}
	e := parseIndexKey(raw)
	return &e, nil
}
