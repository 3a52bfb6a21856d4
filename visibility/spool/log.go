package spool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/visibility"
)

// A segment is a file of records, see batch.go.
const (
	minSegment = 64 << 10
	maxSegment = 16 << 20
	// maxRecord is the most that a batch may take.
	maxRecord = 1 << 30
	fileForm  = "%012d-%020d.spool"
)

// log is a queue of batches on disk. It is safe for concurrent use, but for
// after, drop and clear, which belong to one goroutine at a time.
type log struct {
	dir  string
	max  int64
	lock *os.File

	mu       sync.Mutex
	closed   bool
	segments []segment // the oldest first; none: it is empty
	file     *os.File  // the last one, to write on; nil: the next record begins one
	number   uint64    // of the last segment there was
	at       place     // of the oldest record
	next     uint64    // spans ever added
}

// segment is one file.
type segment struct {
	number uint64 // counts the files
	first  uint64 // spans ever added before it
	size   int64  // of what was synced
}

// place is before a record.
type place struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
	Span    uint64 `json:"span"` // spans ever added before it
}

// openLog opens the queue in a folder, which is made. What a kill has left
// half written was not acknowledged, and goes.
func openLog(dir string, limit int64) (*log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := recordfile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", visibility.ErrLocked, err)
	}
	l := &log{dir: dir, max: limit, lock: lock}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

func (l *log) path(g segment) string {
	return filepath.Join(l.dir, fmt.Sprintf(fileForm, g.number, g.first))
}

func (l *log) load() error {
	// Without a place, after a crash of the machine, all that is kept is
	// delivered again.
	if data, err := os.ReadFile(l.placeFile()); err == nil {
		if json.Unmarshal(data, &l.at) != nil {
			l.at = place{}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.number, l.next = l.at.Segment, l.at.Span
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".spool" {
			continue
		}
		var g segment
		if _, err := fmt.Sscanf(e.Name(), fileForm, &g.number, &g.first); err != nil {
			return fmt.Errorf("%s is no file of a spool", filepath.Join(l.dir, e.Name()))
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		g.size = info.Size()
		l.segments = append(l.segments, g)
	}
	slices.SortFunc(l.segments, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
	if n := len(l.segments); n > 0 {
		if g := l.segments[0]; g.number > l.at.Segment {
			l.at = place{Segment: g.number, Span: g.first}
		}
		if err := l.recover(l.segments[n-1]); err != nil {
			return err
		}
	}
	return l.trim()
}

// recover counts what is in the last segment. Nothing is written to it any
// more, so what a kill has left half written may stay.
func (l *log) recover(g segment) error {
	f, err := os.Open(l.path(g))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	l.number, l.next = g.number, g.first
	for at := int64(0); at < g.size; {
		data, n, err := recordfile.Read(io.NewSectionReader(f, at, g.size-at), g.size-at, maxRecord)
		switch {
		case err == nil:
			if h, _, err := splitRecord(data); err == nil {
				l.next = h.first + h.spans
			}
		case !errors.Is(err, recordfile.ErrTorn):
			return err
		case n == 0:
			return nil
		}
		at += n
	}
	return nil
}

// trim removes the segments before the oldest record. The lock is held, or
// nobody else has the log yet.
func (l *log) trim() error {
	for len(l.segments) > 0 {
		g := l.segments[0]
		switch {
		case g.number > l.at.Segment:
			// Where spans are missing before the next record is told by it.
			l.at = place{Segment: g.number, Span: l.at.Span}
			continue
		case g.number == l.at.Segment && l.at.Offset < g.size:
			return nil
		}
		if len(l.segments) == 1 {
			if err := l.end(); err != nil {
				return err
			}
		}
		if err := os.Remove(l.path(g)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.segments = l.segments[1:]
	}
	l.at = place{Segment: l.number, Offset: 0, Span: l.next}
	return nil
}

// errFull says that the bound is reached.
var errFull = fmt.Errorf("%w: the spool is full", visibility.ErrUnavailable)

// append adds a batch, which is durable then.
func (l *log) append(b *visibility.Batch) error {
	data, err := encodeBatch(b)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	record := recordfile.Append(nil, joinRecord(header{first: l.next, spans: uint64(len(b.Spans)), added: time.Now()}, data))
	if l.size()+int64(len(record)) > l.max {
		return errFull
	}
	if err := l.write(record); err != nil {
		return fmt.Errorf("%w: spool: %w", visibility.ErrUnavailable, err)
	}
	l.next += uint64(len(b.Spans))
	return nil
}

// write adds a record to the last segment. If that fails nothing is written
// behind it, because it is not known what of it has reached the disk.
func (l *log) write(record []byte) error {
	if l.file == nil {
		if err := l.begin(); err != nil {
			return err
		}
	}
	last := &l.segments[len(l.segments)-1]
	_, err := l.file.WriteAt(record, last.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		err = errors.Join(err, l.file.Truncate(last.size), l.end())
		if last.size == 0 {
			err = errors.Join(err, os.Remove(l.path(*last)))
			l.segments = l.segments[:len(l.segments)-1]
		}
		return err
	}
	last.size += int64(len(record))
	if last.size >= min(max(l.max/16, minSegment), maxSegment) {
		return l.end()
	}
	return nil
}

// end ends the writing of a segment.
func (l *log) end() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}

// begin begins a segment.
func (l *log) begin() error {
	g := segment{number: l.number + 1, first: l.next}
	f, err := os.OpenFile(l.path(g), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := recordfile.SyncDir(l.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(l.path(g)))
	}
	l.file, l.number = f, g.number
	l.segments = append(l.segments, g)
	if len(l.segments) == 1 {
		l.at = place{Segment: g.number, Span: g.first}
	}
	return nil
}

func (l *log) size() (sum int64) {
	for _, g := range l.segments {
		sum += g.size
	}
	return sum
}

// drop says that an entry was delivered.
func (l *log) drop(e *entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.move(e.next)
}

// clear drops everything.
func (l *log) clear() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return nil
	}
	last := l.segments[len(l.segments)-1]
	return l.move(place{Segment: last.number, Offset: last.size, Span: l.next})
}

func (l *log) move(to place) error {
	if l.closed {
		return errClosed
	}
	// That it is written once more after a crash of the machine is harmless,
	// so it is not synced.
	data, err := json.Marshal(to)
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.placeFile()+".tmp", data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(l.placeFile()+".tmp", l.placeFile()); err != nil {
		return err
	}
	l.at = to
	return l.trim()
}

func (l *log) placeFile() string { return filepath.Join(l.dir, "place.json") }

// waiting is how much is in the log.
func (l *log) waiting() (spans uint64, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - min(l.at.Span, l.next), l.size()
}

func (l *log) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments) == 0
}

// oldest is the place of the oldest record.
func (l *log) oldest() place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

func (l *log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.end(), l.lock.Close())
}
