package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opnfv/clover/internal/recordfile"
)

// A segment is a file of records, each an entry as JSON.

// maxEntryBytes bounds a record: an alert has its raw text, and once more
// what was read from it, in base64.
const maxEntryBytes = 4*MaxRecordBytes + 1<<20

func encodeRecord(e entry) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(data) > maxEntryBytes {
		return nil, fmt.Errorf("alert: an alert of %d bytes: %w", len(data), ErrTooLong)
	}
	return recordfile.Append(make([]byte, 0, recordfile.Header+len(data)), data), nil
}

// decodeRecord takes a record from the front of r, which has left bytes, and
// returns its length.
func decodeRecord(r io.Reader, left int64) (e entry, n int64, err error) {
	data, n, err := recordfile.Read(r, left, maxEntryBytes)
	if err != nil {
		return e, 0, err
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, 0, fmt.Errorf("alert: a record of the spool: %w", err)
	}
	return e, n, nil
}

func (s *Spool) path(g segment) string {
	return filepath.Join(s.dir, fmt.Sprintf("%012d-%020d.spool", g.number, g.first))
}

// load finds the segments and reads the last one.
func (s *Spool) load() error {
	entries, err := os.ReadDir(s.dir) // sorted by name, and so by number
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(s.dir, e.Name())
		if filepath.Ext(name) != ".spool" {
			continue
		}
		var g segment
		if _, err := fmt.Sscanf(e.Name(), "%d-%d.spool", &g.number, &g.first); err != nil {
			return fmt.Errorf("%s is no file of a spool", name)
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		g.size, g.began, g.last = info.Size(), info.ModTime(), info.ModTime()
		s.segments = append(s.segments, g)
	}
	for len(s.segments) > 0 {
		whole, err := s.recover(&s.segments[len(s.segments)-1])
		if err != nil {
			return err
		}
		if whole {
			return nil
		}
		// A kill while a segment was made; the one before it is whole.
		last := s.segments[len(s.segments)-1]
		if err := errors.Join(s.file.Close(), os.Remove(s.path(last))); err != nil {
			return err
		}
		s.file, s.segments, s.stats.Next = nil, s.segments[:len(s.segments)-1], last.first
	}
	return s.roll()
}

// recover opens a segment to write on, and reads positions and the number of
// alerts from it. It reports whether there was a whole record.
func (s *Spool) recover(g *segment) (whole bool, err error) {
	f, err := os.OpenFile(s.path(*g), os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	s.file, s.stats.Next = f, g.first
	var at int64
	for at < g.size {
		e, n, err := decodeRecord(f, g.size-at)
		if errors.Is(err, recordfile.ErrTorn) {
			s.stats.Torn++
			if err := f.Truncate(at); err != nil {
				return false, err
			}
			break
		}
		if err != nil {
			return false, err
		}
		at += n
		for source, position := range e.Positions {
			s.positions[source] = position
		}
		if e.Source != "" {
			s.positions[e.Source] = e.Position
		}
		if e.Alert != nil {
			if first := e.Alert.Time; s.stats.Next == g.first && !first.IsZero() && first.Before(g.began) {
				g.began = first
			}
			s.stats.Next++
		}
	}
	g.size = at
	return at > 0, nil
}
