package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/visibility"
)

// errEmpty says that nothing waits.
var errEmpty = errors.New("the spool is empty")

// entry is a record that was read, or spans that were lost instead, and the
// place behind it.
type entry struct {
	batch *visibility.Batch // nil: it cannot be read
	added time.Time
	lost  uint64 // spans that cannot be read
	next  place
}

// after reads the record at a place, or returns errEmpty.
func (l *log) after(at place) (*entry, error) {
	l.mu.Lock()
	i := slices.IndexFunc(l.segments, func(g segment) bool {
		return g.number > at.Segment || g.number == at.Segment && at.Offset < g.size
	})
	if l.closed || i < 0 {
		l.mu.Unlock()
		return nil, errEmpty
	}
	g := l.segments[i]
	l.mu.Unlock()
	if g.number > at.Segment {
		at = place{Segment: g.number, Span: at.Span}
	}
	data, n, err := l.read(g, at)
	var h header
	var batch *visibility.Batch
	if err == nil {
		h, batch, err = decodeRecord(data)
	}
	switch {
	case err == nil && h.first > at.Span:
		return &entry{lost: h.first - at.Span, next: place{Segment: at.Segment, Offset: at.Offset, Span: h.first}}, nil
	case err == nil:
		return &entry{batch: batch, added: h.added, next: place{Segment: at.Segment, Offset: at.Offset + n, Span: h.first + h.spans}}, nil
	case errors.Is(err, recordfile.ErrTorn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, fs.ErrNotExist), errors.Is(err, errForm):
		return l.skip(g, at, n)
	}
	return nil, err
}

func (l *log) read(g segment, at place) ([]byte, int64, error) {
	f, err := os.Open(l.path(g))
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	return recordfile.Read(io.NewSectionReader(f, at.Offset, g.size-at.Offset), g.size-at.Offset, maxRecord)
}

// skip goes past what the disk has lost: n bytes, or the rest of the segment.
// How many spans that were is told by the next record, or by what follows the
// segment.
func (l *log) skip(g segment, at place, n int64) (*entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.segments, func(o segment) bool { return o.number == g.number })
	if i < 0 {
		return nil, errEmpty
	}
	size := l.segments[i].size
	if n > 0 && at.Offset+n < size {
		return &entry{next: place{Segment: g.number, Offset: at.Offset + n, Span: at.Span}}, nil
	}
	until := l.next
	if i+1 < len(l.segments) {
		until = l.segments[i+1].first
	} else if err := l.end(); err != nil {
		return nil, err
	}
	return &entry{lost: until - min(at.Span, until), next: place{Segment: g.number, Offset: size, Span: until}}, nil
}
