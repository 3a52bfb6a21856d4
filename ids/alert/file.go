package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// Defaults of a file.
const (
	defaultPoll   = 20 * time.Millisecond
	defaultSettle = 200 * time.Millisecond
	// checkpointEvery bounds what is read again after a restart of what has no
	// alerts in it.
	checkpointEvery = 5 * time.Second
	readChunk       = 256 << 10
)

// FileOptions says how a log is followed.
type FileOptions struct {
	// Name names the source; empty is the path.
	Name string
	// Poll is how often the file is looked at; 0 is 20 ms.
	Poll time.Duration
	// Settle is after which time without more an alert of unified2 is taken
	// for complete; 0 is 200 ms.
	Settle time.Duration
	// Logger nil is silence.
	Logger *slog.Logger
}

// File follows a log that an engine writes, also when it rotates: by renaming
// (then the file under the path's name is a new one), by copying and
// truncating, or by names that begin with the path and end with a time, as
// unified2 has them. Rotated files are found as PATH.* and PATH-*, unless they
// are compressed.
type File struct {
	sourceStats
	path   string
	format func() Format
	o      FileOptions
}

var _ Source = (*File)(nil)

// NewFile follows the log of that path in a format such as [EVE]. The file
// does not have to be there yet.
func NewFile(path string, format func() Format, o FileOptions) *File {
	o.Name = cmp.Or(o.Name, path)
	o.Poll, o.Settle = cmp.Or(o.Poll, defaultPoll), cmp.Or(o.Settle, defaultSettle)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &File{path: path, format: format, o: o}
}

// Name implements Source.
func (f *File) Name() string { return f.o.Name }

// filePosition is a place in a log. The file is known by its first bytes,
// for its name changes and its inode may be given to another.
type filePosition struct {
	Generation uint64 `json:"g"`           // counts the files
	Offset     int64  `json:"o"`           // all before it is done
	Head       string `json:"h,omitempty"` // hash of the file's first bytes
	HeadLen    int64  `json:"n,omitempty"` // how many
	ModTime    int64  `json:"m,omitempty"` // of the file, ns
}

// Run implements Source.
func (f *File) Run(ctx context.Context, position string, emit Emit) error {
	t := &tailer{File: f, emit: emit, buf: make([]byte, 0, readChunk)}
	defer t.close()
	if position != "" {
		if err := json.Unmarshal([]byte(position), &t.pos); err != nil {
			return fmt.Errorf("alert: position of %s: %w", f.o.Name, err)
		}
	}
	poll := time.NewTicker(f.o.Poll)
	defer poll.Stop()
	for {
		more, err := t.step()
		if err != nil {
			return err
		}
		if more && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		}
	}
}

// tailer is a File while it runs.
type tailer struct {
	*File
	emit    Emit
	pos     filePosition
	file    *os.File
	head    head
	format  Format
	read    int64  // how far the file was read
	buf     []byte // read and not yet taken; begins at read - len(buf)
	quiet   time.Time
	saved   time.Time
	savedAt int64
	next    os.FileInfo // the file that comes after this one, once it is seen
}

func (t *tailer) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// step does a bounded piece of work and reports whether there may be more to
// do at once.
func (t *tailer) step() (more bool, err error) {
	if t.file == nil {
		if err := t.find(); err != nil || t.file == nil {
			return false, err
		}
	}
	n, err := t.fill()
	if err != nil {
		return false, err
	}
	if n > 0 {
		t.quiet = time.Time{}
		return true, t.take()
	}
	return t.end()
}

// fill reads what is new. A file that is not the same any more is left.
func (t *tailer) fill() (int, error) {
	info, err := t.file.Stat()
	if err != nil {
		return 0, err
	}
	t.pos.ModTime = info.ModTime().UnixNano()
	if info.Size() < t.read || !t.head.matches(t.file) {
		t.o.Logger.Info("alert: the log was truncated", "source", t.o.Name)
		return 0, t.leave()
	}
	if len(t.buf) >= MaxRecordBytes {
		return 0, nil
	}
	want := min(int64(readChunk), info.Size()-t.read)
	if want == 0 {
		return 0, nil
	}
	at := len(t.buf)
	t.buf = append(t.buf, make([]byte, want)...)
	n, err := t.file.ReadAt(t.buf[at:], t.read)
	t.buf = t.buf[:at+n]
	t.head.add(t.buf[at:], t.read)
	t.read += int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// take takes the whole records from what was read.
func (t *tailer) take() error {
	rest := t.buf
	defer func() { t.buf = append(t.buf[:0], rest...) }()
	for {
		n, a, err := t.format.Next(rest)
		if n == 0 && err == nil && len(rest) >= MaxRecordBytes {
			err = ErrTooLong
		}
		if n == 0 && err == nil {
			return t.checkpoint(false)
		}
		if n == 0 {
			// Nothing can be found behind it: as much as was read is given up.
			n = len(rest)
		}
		rest = rest[n:]
		t.records.Add(1)
		switch {
		case err != nil:
			t.rejected.Add(1)
			t.o.Logger.Warn("alert: a record is left out", "source", t.o.Name, "error", err)
		case a != nil || t.format.Held() > 0:
			t.alerts.Add(1)
		default:
			t.other.Add(1)
		}
		if err := t.advance(a, t.read-int64(len(rest))-int64(t.format.Held())); err != nil {
			return err
		}
	}
}

// advance emits an alert, if there is one, and then all before the offset is
// done.
func (t *tailer) advance(a *Alert, offset int64) error {
	start := t.pos.Offset
	t.pos.Offset = offset
	if a == nil {
		return nil
	}
	a.Source = t.o.Name
	a.ID = t.o.Name + ":" + strconv.FormatUint(t.pos.Generation, 10) + ":" + strconv.FormatInt(start, 10)
	return t.send(a)
}

func (t *tailer) send(a *Alert) error {
	t.pos.Head, t.pos.HeadLen = t.head.sum()
	data, err := json.Marshal(t.pos)
	if err != nil {
		return err
	}
	t.saved, t.savedAt = time.Now(), t.pos.Offset
	return t.emit(a, string(data))
}

// checkpoint emits the position now and then, so that little is read again
// after a restart.
func (t *tailer) checkpoint(now bool) error {
	if !now && (t.savedAt == t.pos.Offset || time.Since(t.saved) < checkpointEvery) {
		return nil
	}
	return t.send(nil)
}

// end is at the end of the file: it completes what waits, and goes on to the
// next file if there is one and this one has stayed as it is meanwhile.
func (t *tailer) end() (more bool, err error) {
	if t.file == nil {
		return true, nil // it was left
	}
	if t.quiet.IsZero() {
		t.quiet = time.Now()
	}
	idle := time.Since(t.quiet)
	if t.format.Held() > 0 && (idle >= t.o.Settle || t.next != nil) {
		if err := t.advance(t.format.Flush(), t.read-int64(len(t.buf))); err != nil {
			return false, err
		}
	}
	if err := t.checkpoint(false); err != nil {
		return false, err
	}
	if t.next == nil {
		if t.next, err = t.newer(); t.next == nil || err != nil {
			return false, err
		}
		return true, nil // the writer may have added to this one before it made the next
	}
	if len(t.buf) > 0 {
		t.truncated.Add(1)
		t.o.Logger.Warn("alert: the last record of a rotated log has no end", "source", t.o.Name, "bytes", len(t.buf))
	}
	next := t.next
	t.close()
	t.file = nil
	return true, t.open(next, filePosition{Generation: t.pos.Generation + 1})
}
