package alert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opnfv/clover/internal/recordfile"
)

// Defaults of a spool.
const (
	defaultSpoolBytes = 256 << 20
	defaultSpoolAge   = 7 * 24 * time.Hour
	minSegmentBytes   = 64 << 10
	maxSegmentBytes   = 8 << 20
)

// ErrSpoolClosed says that the spool was closed.
var ErrSpoolClosed = errors.New("alert: the spool is closed")

// SpoolOptions bounds a spool.
type SpoolOptions struct {
	// MaxBytes bounds the folder; beyond it the oldest alerts go, also those
	// that a sink has not got, which are counted. 0 is 256 MiB.
	MaxBytes int64
	// MaxAge bounds how long alerts wait for a sink; 0 is 7 days. They go with
	// the file that they are in, at most an eighth later.
	MaxAge time.Duration
}

// Spool keeps alerts on disk until each sink has got them. It survives that
// the process is killed at any time. Methods may be called concurrently; one
// process has it at a time.
type Spool struct {
	dir  string
	o    SpoolOptions
	lock *os.File

	mu        sync.Mutex
	closed    bool
	segments  []segment // the oldest first; the last is written to
	file      *os.File  // of the last
	dirty     bool      // written since the last sync
	positions map[string]string
	changed   chan struct{}     // closed when something was added
	cursors   map[string]cursor // by sink
	stats     SpoolStats
}

// SpoolStats is a spool's ledger since it was opened: Added = those that all
// sinks have got + those that wait + what was dropped.
type SpoolStats struct {
	Bytes      int64  // on disk
	Next       uint64 // number of the next alert; counts all ever added
	Oldest     uint64 // number of the oldest alert kept
	Added      uint64
	DroppedAge uint64 // alerts that went because of MaxAge while a sink waited for them
	DroppedMax uint64 // and because of MaxBytes
	Torn       uint64 // half records that a kill had left
}

// segment is one file of the spool.
type segment struct {
	number uint64 // counts the files
	first  uint64 // number of its first alert
	size   int64
	began  time.Time // of the last segment: when its first alert came
	last   time.Time // when it was written to last
}

// cursor is a place in the spool: before the alert of that number.
type cursor struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
	Alert   uint64 `json:"alert"`
}

// entry is what a record of a segment holds: an alert, or a position alone,
// or, at the beginning of a segment, all positions.
type entry struct {
	Source    string            `json:"s,omitempty"`
	Position  string            `json:"p,omitempty"`
	Alert     *Alert            `json:"a,omitempty"`
	Positions map[string]string `json:"all,omitempty"`
}

// OpenSpool opens the spool in a folder, which is made. What a kill has left
// half written is removed: it is read from the source again.
func OpenSpool(dir string, o SpoolOptions) (*Spool, error) {
	o.MaxBytes, o.MaxAge = cmp.Or(o.MaxBytes, defaultSpoolBytes), cmp.Or(o.MaxAge, defaultSpoolAge)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := recordfile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("alert: spool %s: %w", dir, err)
	}
	s := &Spool{dir: dir, o: o, lock: lock, positions: map[string]string{}, changed: make(chan struct{}), cursors: map[string]cursor{}}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("alert: spool %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// Close ends the use of the spool.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var failed error
	if s.file != nil {
		failed = errors.Join(s.file.Sync(), s.file.Close())
	}
	return errors.Join(failed, s.lock.Close())
}

// Stats returns the ledger.
func (s *Spool) Stats() SpoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Bytes, st.Oldest = s.size(), s.segments[0].first
	return st
}

// Position returns the position of a source behind its last alert in the
// spool, empty if there is none.
func (s *Spool) Position(source string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.positions[source]
}

// Append adds an alert and the position behind it, in one step; a nil alert
// adds a position alone. A crash of the machine may take what was added after
// the last Sync, and the position with it.
func (s *Spool) Append(source, position string, a *Alert) error {
	record, err := encodeRecord(entry{Source: source, Position: position, Alert: a})
	if errors.Is(err, ErrTooLong) && a != nil {
		// Without what it carried: an alert that can never be kept would hold up
		// all that come after it.
		slim := *a
		slim.Raw, slim.Payload, slim.Packets, slim.Extra, slim.HTTP = nil, nil, nil, nil, nil
		a = &slim
		record, err = encodeRecord(entry{Source: source, Position: position, Alert: a})
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrSpoolClosed
	}
	if err := s.write(record); err != nil {
		return fmt.Errorf("alert: write to the spool: %w", err)
	}
	s.positions[source] = position
	if a != nil {
		s.stats.Next++
		s.stats.Added++
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return s.tidy()
}

// tidy begins a new file when the last one is large or old, and removes what
// is not needed any more or too old.
func (s *Spool) tidy() error {
	last := s.segments[len(s.segments)-1]
	aged := s.stats.Next > last.first && time.Since(last.began) > s.o.MaxAge/8
	if aged || last.size >= s.segmentBytes() {
		if err := s.roll(); err != nil {
			return fmt.Errorf("alert: make a file of the spool: %w", err)
		}
	}
	return s.trim()
}

// write adds a record to the last segment. If that fails, what was written of
// it is taken back.
func (s *Spool) write(record []byte) error {
	last := &s.segments[len(s.segments)-1]
	if _, err := s.file.WriteAt(record, last.size); err != nil {
		return errors.Join(err, s.file.Truncate(last.size))
	}
	last.size += int64(len(record))
	last.last = time.Now()
	if s.stats.Next == last.first {
		last.began = last.last
	}
	s.dirty = true
	return nil
}

func (s *Spool) segmentBytes() int64 {
	return min(max(s.o.MaxBytes/16, minSegmentBytes), maxSegmentBytes)
}

// Sync makes what was added survive a crash of the machine, and removes what
// has become too old.
func (s *Spool) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if err := s.tidy(); err != nil {
		return err
	}
	if !s.dirty {
		return nil
	}
	s.dirty = false
	return s.file.Sync()
}

// roll begins a new segment, with all positions at its beginning.
func (s *Spool) roll() error {
	now := time.Now()
	next := segment{number: 1, first: s.stats.Next, began: now, last: now}
	if n := len(s.segments); n > 0 {
		next.number = s.segments[n-1].number + 1
	}
	record, err := encodeRecord(entry{Positions: s.positions})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path(next), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(record); err != nil {
		return errors.Join(err, f.Close(), os.Remove(s.path(next)))
	}
	next.size = int64(len(record))
	if s.file != nil {
		err = errors.Join(s.file.Sync(), s.file.Close())
	}
	s.file, s.dirty, s.segments = f, true, append(s.segments, next)
	return err
}

func (s *Spool) size() int64 {
	var sum int64
	for _, g := range s.segments {
		sum += g.size
	}
	return sum
}

// trim removes segments that all sinks have read, and the oldest beyond the
// bounds.
func (s *Spool) trim() error {
	for len(s.segments) > 1 {
		oldest, next := s.segments[0], s.segments[1]
		waiting := s.waiting(next)
		switch {
		case len(s.cursors) > 0 && waiting == 0:
		case s.size() > s.o.MaxBytes:
			s.stats.DroppedMax += waiting
		case time.Since(oldest.last) > s.o.MaxAge:
			s.stats.DroppedAge += waiting
		default:
			return nil
		}
		if err := os.Remove(s.path(oldest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.segments = s.segments[1:]
	}
	return nil
}

// waiting is how many alerts before the segment the slowest sink has not got.
func (s *Spool) waiting(next segment) uint64 {
	least := next.first
	for _, c := range s.cursors {
		least = min(least, c.Alert)
	}
	if len(s.cursors) == 0 {
		least = s.segments[0].first
	}
	return next.first - max(least, s.segments[0].first)
}

// writeJSON replaces a small file in one step.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
