package cassandra

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/sql"
)

// Limits of a table. They bound its memory.
const (
	// maxTableTraces is how many traces one part of a table may have.
	maxTableTraces = 2_000_000
	// maxTraceBytes is the size of a trace's records.
	maxTraceBytes = 256 << 20
)

// WriteTable turns rows of the table spans into the rows of package
// visibility/sql, for Spark (see sql.CassandraTable). Each line of in is a row,
// "TRACEID TAB RECORD", the record in hexadecimal; the rows have been
// committed, and those of a trace follow one another. Each line of out is a
// span, as sql.AppendLine writes it.
//
// It fails if a trace comes in two pieces, because its roles would be wrong.
func WriteTable(in io.Reader, out io.Writer) error {
	t := tableWriter{out: bufio.NewWriterSize(out, 256<<10), seen: map[tracing.TraceID]struct{}{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 256<<10), maxTraceBytes)
	lines.Split(wholeLines)
	n := 0
	for lines.Scan() {
		n++
		if err := t.row(lines.Bytes()); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("row %d: %w", n+1, err)
	}
	if err := t.trace(); err != nil {
		return err
	}
	return t.out.Flush()
}

// wholeLines is bufio.ScanLines, but takes no line that is cut off.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// tableWriter has the trace at hand.
type tableWriter struct {
	out  *bufio.Writer
	seen map[tracing.TraceID]struct{} // traces that are complete, and the one at hand

	id    tracing.TraceID
	spans []tracing.Span
	size  int // of the records
	raw   []byte
	views []visibility.HopSpan
	hops  []visibility.Hop
	line  []byte
}

// row takes up one row.
func (t *tableWriter) row(line []byte) error {
	trace, record, ok := bytes.Cut(line, []byte{'\t'})
	if !ok {
		return fmt.Errorf("want TRACEID TAB RECORD, have %.100q: %w", line, visibility.ErrInvalid)
	}
	id, err := tracing.ParseTraceID(string(trace))
	if err != nil {
		return err
	}
	if id != t.id || len(t.spans) == 0 {
		if err := t.begin(id); err != nil {
			return err
		}
	}
	if t.raw, err = hex.AppendDecode(t.raw[:0], record); err != nil {
		return fmt.Errorf("record of trace %s: %w", id, err)
	}
	if t.size += len(t.raw); t.size > maxTraceBytes {
		return fmt.Errorf("trace %s has more than %d bytes: %w", id, maxTraceBytes, visibility.ErrLimit)
	}
	span, err := decodeRecord(id, t.raw)
	if err != nil {
		return err
	}
	t.spans = append(t.spans, span)
	return nil
}

// begin ends the trace at hand and begins another.
func (t *tableWriter) begin(id tracing.TraceID) error {
	if err := t.trace(); err != nil {
		return err
	}
	if _, again := t.seen[id]; again {
		return fmt.Errorf("trace %s comes in two pieces: its rows have to follow one another: %w", id, visibility.ErrInvalid)
	}
	if len(t.seen) >= maxTableTraces {
		return fmt.Errorf("more than %d traces: let parts be smaller (spark.cassandra.input.split.sizeInMB): %w", maxTableTraces, visibility.ErrLimit)
	}
	t.seen[id] = struct{}{}
	t.id, t.size = id, 0
	return nil
}

// trace writes the spans of the trace at hand.
func (t *tableWriter) trace() error {
	t.views = t.views[:0]
	for i := range t.spans {
		t.views = append(t.views, visibility.HopSpanOf(&t.spans[i]))
	}
	t.hops = visibility.ResolveHops(t.views, t.hops)
	for i := range t.spans {
		t.line = sql.AppendLine(t.line[:0], &t.spans[i], t.hops[i])
		if _, err := t.out.Write(t.line); err != nil {
			return err
		}
	}
	clear(t.spans) // their memory is not kept
	t.spans = t.spans[:0]
	return nil
}
