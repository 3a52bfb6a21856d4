package alert

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Reader is the place of a sink in a spool. It belongs to one goroutine.
type Reader struct {
	s    *Spool
	path string
	name string
	at   cursor // what was delivered ends here
	next cursor // behind what Next has returned
	lost uint64
}

// Reader returns the reader of that name, which goes on where it was. A new
// one begins with the oldest alert kept. From now on the spool keeps alerts
// for it.
func (s *Spool) Reader(name string) (*Reader, error) {
	r := &Reader{s: s, name: name, path: filepath.Join(s.dir, "sink-"+url.PathEscape(name)+".json")}
	data, err := os.ReadFile(r.path)
	known := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if known {
		// What a crash of the machine has left empty is no position: then all
		// that is kept is delivered again.
		known = json.Unmarshal(data, &r.at) == nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first, last := s.segments[0], s.segments[len(s.segments)-1]
	switch {
	case !known:
		r.at = cursor{Segment: first.number, Alert: first.first}
	case r.at.Segment > last.number || r.at.Segment == last.number && r.at.Offset > last.size:
		// A crash of the machine has taken what was delivered already.
		r.at = cursor{Segment: last.number, Offset: last.size, Alert: s.stats.Next}
	}
	s.cursors[name] = r.at
	return r, nil
}

// Lost is how many alerts were gone from the spool before this reader got
// them.
func (r *Reader) Lost() uint64 { return r.lost }

// Next returns the alerts behind the last one delivered, at least one and at
// most limit of them. It waits for one until ctx ends. Called again without
// Done it returns them again.
func (r *Reader) Next(ctx context.Context, limit int) ([]Alert, error) {
	for {
		r.s.mu.Lock()
		if r.s.closed {
			r.s.mu.Unlock()
			return nil, ErrSpoolClosed
		}
		changed := r.s.changed
		g := r.segment()
		r.s.mu.Unlock()
		batch, err := r.read(g, limit)
		if err != nil || len(batch) > 0 {
			return batch, err
		}
		if r.next != r.at && r.s.hasAfter(r.next) {
			r.at = r.next // positions only, or the end of a segment
			continue
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
		}
	}
}

// segment returns the segment to read from, and moves on from one that was
// read to its end or dropped. The spool's lock is held.
func (r *Reader) segment() segment {
	segments := r.s.segments
	for i, g := range segments {
		if g.number < r.at.Segment {
			continue
		}
		if g.number > r.at.Segment {
			r.lost += g.first - min(r.at.Alert, g.first)
			r.at = cursor{Segment: g.number, Alert: g.first}
		}
		if r.at.Offset >= g.size && i+1 < len(segments) {
			r.lost += segments[i+1].first - min(r.at.Alert, segments[i+1].first)
			r.at = cursor{Segment: segments[i+1].number, Alert: segments[i+1].first}
			continue
		}
		return g
	}
	return segments[len(segments)-1]
}

// hasAfter reports whether there is something behind a place.
func (s *Spool) hasAfter(c cursor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.segments[len(s.segments)-1]
	return c.Segment < last.number || c.Offset < last.size
}

// read reads alerts of a segment.
func (r *Reader) read(g segment, limit int) ([]Alert, error) {
	r.next = r.at
	if r.at.Offset >= g.size {
		return nil, nil
	}
	f, err := os.Open(r.s.path(g))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // dropped just now; segment goes on to the next
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := bufio.NewReaderSize(io.NewSectionReader(f, r.at.Offset, g.size-r.at.Offset), 64<<10)
	var batch []Alert
	for r.next.Offset < g.size && len(batch) < limit {
		e, n, err := decodeRecord(data, g.size-r.next.Offset)
		if err != nil {
			// The disk has lost something: go on with the next segment, which
			// tells how many alerts that were.
			r.next.Offset = g.size
			break
		}
		r.next.Offset += n
		if e.Alert != nil {
			batch = append(batch, *e.Alert)
			r.next.Alert++
		}
	}
	return batch, nil
}

// Done notes that what Next has returned was delivered.
func (r *Reader) Done() error {
	r.at = r.next
	if err := writeJSON(r.path, r.at); err != nil {
		return fmt.Errorf("alert: note the position of the sink %s: %w", r.name, err)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.closed {
		return ErrSpoolClosed
	}
	r.s.cursors[r.name] = r.at
	return r.s.trim()
}

// waitingFor is how many alerts are behind the last one that a sink has got.
func (s *Spool) waitingFor(sink string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats.Next - min(s.cursors[sink].Alert, s.stats.Next)
}
