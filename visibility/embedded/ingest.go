package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// incoming is a new span on its way into the store.
type incoming struct {
	span    *tracing.Span
	request *storekit.Request
	ledger  storekit.Counters
}

// addGroup adds everything of a group but what apply adds.
func (c *committer) addGroup(b *pebble.Batch, group []storekit.Request) error {
	now := c.opts.Clock()
	floor := c.floor
	if c.opts.Retention > 0 {
		floor = later(floor, now.Add(-c.opts.Retention))
	}
	ledgers := map[storekit.Account]storekit.Counters{}
	c.tr.reset()
	for i := range group {
		r := &group[i]
		for j := range r.Batch.Spans {
			s := &r.Batch.Spans[j]
			ledger := storekit.In(ledgers, accountOf(r.Batch.Source, s.Service))
			ledger.Add("seen", 1)
			ledger.Add("^arrived", now.UnixNano())
			if reason := storekit.Refuse(s, now, floor); reason != "" {
				r.Reject(ledger, reason)
				continue
			}
			c.tr.add(incoming{span: s, request: r, ledger: ledger})
		}
		if err := c.addDelivery(b, r.Batch, ledgers); err != nil {
			return err
		}
	}
	totals := map[uint32]storekit.Counters{}
	it, err := c.newTraceIter()
	if err != nil {
		return err
	}
	defer it.Close()
	for _, trace := range c.tr.order {
		if err := c.addTrace(b, it, trace, c.tr.byTrace[trace], totals, now); err != nil {
			return err
		}
	}
	for hour, n := range totals {
		if err := b.Merge(idKey(spaceCount, hour), n.Append(nil), nil); err != nil {
			return err
		}
	}
	for at, n := range ledgers {
		if err := b.Merge(pairKey(spaceLedger, at.Source, at.Service), n.Append(nil), nil); err != nil {
			return err
		}
	}
	return nil
}

// traceScratch groups the incoming spans of a commit by trace.
type traceScratch struct {
	byTrace map[tracing.TraceID][]incoming
	order   []tracing.TraceID

	spans         []traceSpan
	hours         []uint32 // that were looked into
	known         map[spanID]int
	before, after []visibility.Hop
	hops          []visibility.HopSpan
}

func (t *traceScratch) reset() {
	if t.byTrace == nil {
		t.byTrace = map[tracing.TraceID][]incoming{}
		t.known = map[spanID]int{}
	}
	clear(t.byTrace)
	t.order = t.order[:0]
}

func (t *traceScratch) add(in incoming) {
	id := in.span.TraceID
	if _, ok := t.byTrace[id]; !ok {
		t.order = append(t.order, id)
	}
	t.byTrace[id] = append(t.byTrace[id], in)
}

// spanID is a span's identity within its trace. The hour is no part of it: a
// span that is reported again with another start is the same one.
type spanID struct {
	id      tracing.SpanID
	kind    tracing.Kind
	service uint32
}

func spanIDOf(s *tracing.Span) spanID {
	return spanID{id: s.SpanID, kind: s.Kind, service: serviceHash(s.Service)}
}

// traceSpan is a span of the trace at hand: stored before, or new.
type traceSpan struct {
	open openID
	row  uint32            // stored: the row of its own key
	new  *incoming         // nil: stored
	sum  storekit.Measured // what it counts
	at   time.Time         // start
	key  visibility.Key    // own key, without the source that its parent tells
}

// addTrace stores the new spans of one trace and counts them, and counts
// again the stored ones whose other side has come.
func (c *committer) addTrace(b *pebble.Batch, it *pebble.Iterator, trace tracing.TraceID, in []incoming, totals map[uint32]storekit.Counters, now time.Time) error {
	t := &c.tr
	t.spans, t.hops = t.spans[:0], t.hops[:0]
	clear(t.known)
	if err := c.loadTrace(it, trace, in); err != nil {
		return err
	}
	stored := len(t.spans)
	for i := range in {
		s := in[i].span
		id := spanIDOf(s)
		if _, dup := t.known[id]; dup {
			in[i].request.Receipt.Duplicates++
			in[i].ledger.Add("duplicate", 1)
			continue
		}
		kept, err := c.addSpan(b, &in[i], totals)
		if err != nil {
			return err
		}
		if kept {
			t.known[id] = len(t.spans) - 1
		}
	}
	if len(t.spans) == stored {
		return nil
	}
	if stored == 0 {
		storekit.In(totals, hourOf(t.spans[0].at)).Add("traces", 1)
	}
	c.countTrace(stored, totals, now)
	return nil
}

// addSpan writes the record and the index entries of a new span, unless the
// record is too large.
func (c *committer) addSpan(b *pebble.Batch, in *incoming, totals map[uint32]storekit.Counters) (bool, error) {
	s := in.span
	key := visibility.KeyOf(s)
	day := dayOf(s.Start, c.opts.Clock())
	row, r := c.dict.rowID(visibility.RoleSpan, &key, day)
	ts := traceSpan{row: row, new: in, sum: storekit.MeasuredOf(s), at: s.Start, key: key}
	c.buf = appendSpanKey(c.buf[:0], spaceSpan, s)
	copy(ts.open[:], c.buf[1:])
	c.buf = c.enc.append(c.buf, s, row, r.overflow, day)
	if len(c.buf)-spanKeyLen > c.opts.Limits.RecordBytes {
		in.request.Reject(in.ledger, visibility.RejectSize)
		return false, nil
	}
	if err := b.Set(c.buf[:spanKeyLen], c.buf[spanKeyLen:], nil); err != nil {
		return false, err
	}
	second := uint16(s.Start.Unix() % 3600)
	service := r.ids.ids[visibility.Service]
	for _, id := range [...]uint32{0, service} {
		c.buf = appendIndexKey(c.buf[:0], hourOf(s.Start), id, second, s.TraceID)
		if err := b.Set(c.buf, nil, nil); err != nil {
			return false, err
		}
		if service == 0 {
			break
		}
	}
	c.tr.spans = append(c.tr.spans, ts)
	c.tr.hops = append(c.tr.hops, visibility.HopSpanOf(s))
	in.request.Receipt.Kept++
	in.ledger.Add("kept", 1)
	in.ledger.Add("^last", s.Start.UnixNano())
	n := storekit.In(totals, hourOf(s.Start))
	n.Add("spans", 1)
	if s.Observed() {
		n.Add("sessions", 1)
	}
	if r.overflow {
		n.Add("overflow", 1)
	}
	return true, nil
}

// newTraceIter returns an iterator for loadTrace.
func (c *committer) newTraceIter() (*pebble.Iterator, error) {
	return c.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceSpan}, UpperBound: []byte{spaceSpan + 1}, UseL6Filters: true,
	})
}

// loadTrace reads what is stored of a trace in the hours of the incoming
// spans and beside them, and so on as long as there is something: all that
// [committer.resolve] pairs with them.
func (c *committer) loadTrace(it *pebble.Iterator, trace tracing.TraceID, in []incoming) error {
	hours := c.tr.hours[:0]
	visit := func(hour uint32) error {
		if slices.Contains(hours, hour) {
			return nil
		}
		hours = append(hours, hour)
		return c.loadHour(it, hour, trace)
	}
	for i := range in {
		hour := hourOf(in[i].span.Start)
		if err := visit(hour); err != nil {
			return err
		}
		if err := errors.Join(visit(max(hour, 1)-1), visit(hour+1)); err != nil {
			return err
		}
	}
	for i := 0; i < len(c.tr.spans); i++ {
		hour := hourOf(c.tr.spans[i].at)
		if err := errors.Join(visit(max(hour, 1)-1), visit(hour+1)); err != nil {
			return err
		}
	}
	c.tr.hours = hours
	return nil
}

func (c *committer) loadHour(it *pebble.Iterator, hour uint32, trace tracing.TraceID) error {
	c.buf = appendTracePrefix(c.buf[:0], spaceSpan, hour, trace)
	for ok := it.SeekPrefixGE(c.buf); ok; ok = it.Next() {
		key := it.Key()
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := c.loadSpan(hour, key, value); err != nil {
			return err
		}
	}
	return it.Error()
}

// loadSpan adds a stored span to the trace at hand. It reads the head of the
// record only, unless the row does not hold the span's own values.
func (c *committer) loadSpan(hour uint32, key, value []byte) error {
	if len(key) != spanKeyLen {
		return fmt.Errorf("span key %x: %w", key, storekit.ErrCorrupt)
	}
	h, r, flags := decodeHead(hour, value)
	requestBytes, responseBytes := int64(r.Uvarint())-1, int64(r.Uvarint())-1
	if r.Err != nil || int(h.row) >= len(c.dict.rows) || c.dict.rows[h.row] == nil {
		return fmt.Errorf("span record %x: %w", key, storekit.ErrCorrupt)
	}
	own := c.dict.rows[h.row].key
	if flags&flagOverflow != 0 {
		s, err := decodeSpan(key, value, view{rows: c.dict.rows, strings: c.dict.strings, blobs: c.dict.blobs})
		if err != nil {
			return err
		}
		own = visibility.KeyOf(&s)
	}
	ts := traceSpan{row: h.row, at: h.start, key: own, sum: storekit.Measured{
		Duration: h.duration, RequestBytes: requestBytes, ResponseBytes: responseBytes,
		Error: own[visibility.ErrorFlag] == "true",
	}}
	copy(ts.open[:], key[1:])
	id := spanID{kind: tracing.Kind(key[tracePrefixLen+8]), service: binary.BigEndian.Uint32(key[spanKeyLen-4:])}
	copy(id.id[:], key[tracePrefixLen:])
	side := (&tracing.Span{Kind: id.kind, UpstreamCluster: own[visibility.UpstreamCluster]}).Side()
	c.tr.known[id] = len(c.tr.spans)
	c.tr.spans = append(c.tr.spans, ts)
	c.tr.hops = append(c.tr.hops, visibility.HopSpan{ID: id.id, Parent: h.parent, Side: side, Service: own[visibility.Service], Observed: flags&flagObserved != 0})
	return nil
}

// dayOf returns the day that keeps a dictionary entry alive: the day of the
// span or of its arrival, whichever is later.
func dayOf(start, now time.Time) uint16 {
	return uint16(max(start.Unix(), now.Unix()) / 86400)
}
