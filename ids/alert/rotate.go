package alert

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// headBytes of a file tell it from any other: they hold the time of the first
// event in microseconds.
const headBytes = 512

// head are the first bytes of a file.
type head []byte

// add takes bytes that were read at an offset.
func (h *head) add(data []byte, offset int64) {
	if offset == int64(len(*h)) {
		*h = append(*h, data[:min(len(data), headBytes-len(*h))]...)
	}
}

// matches reports whether the file still begins like that.
func (h *head) matches(f io.ReaderAt) bool {
	data := make([]byte, len(*h))
	n, err := f.ReadAt(data, 0)
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(data[:n], *h)
}

// sum is a hash of the head.
func (h *head) sum() (string, int64) { return hashOf(*h), int64(len(*h)) }

func hashOf(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// candidate is a file of the log.
type candidate struct {
	path string
	info fs.FileInfo
}

// compressed are the endings of files that hold no records any more.
var compressed = []string{".gz", ".bz2", ".xz", ".zst", ".lz4", ".tmp"}

// looks bounds how often the folder is looked at for one answer.
const looks = 20

// candidates are the files of the log, the oldest first. The one under the
// path's own name is the last.
//
// A rotation renames one file after the other, so one look at the folder may
// find a file under two names, or under none. What two looks in a row agree on
// was so at one time, because no file gets a former name back. While they do
// not agree there are no candidates.
func (f *File) candidates() ([]candidate, error) {
	before, err := f.look()
	for range looks {
		if err != nil {
			return nil, err
		}
		var now []candidate
		if now, err = f.look(); err == nil && slices.EqualFunc(before, now, candidate.is) {
			slices.SortFunc(now, func(a, b candidate) int {
				return cmp.Or(f.live(a)-f.live(b), a.info.ModTime().Compare(b.info.ModTime()), byName(a.path, b.path))
			})
			return now, nil
		}
		before = now
	}
	return nil, err
}

// is reports whether both are the same file under the same name.
func (c candidate) is(other candidate) bool {
	return c.path == other.path && os.SameFile(c.info, other.info)
}

// live is 1 for the file under the path's own name and 0 for others.
func (f *File) live(c candidate) int {
	if c.path == f.path {
		return 1
	}
	return 0
}

// look returns the files of the log as they are found one after the other, in
// the order of their names.
func (f *File) look() ([]candidate, error) {
	dir, base := filepath.Split(f.path)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []candidate
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), base)
		if !ok || rest != "" && (!strings.ContainsRune(".-", rune(rest[0])) || slices.Contains(compressed, filepath.Ext(rest))) {
			continue
		}
		name := dir + e.Name()
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && rest != "" && !info.Mode().IsRegular() {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, candidate{name, info})
	}
	return all, nil
}

// byName orders files that were written to at the same time, as far as the
// file system knows: of "log.1" and "log.2" the second is older, but names
// with a time go up.
func byName(a, b string) int {
	count := func(path string) int {
		n, err := strconv.Atoi(filepath.Ext(path)[min(1, len(filepath.Ext(path))):])
		if err != nil || n > 9999 {
			return 0
		}
		return n
	}
	return cmp.Or(cmp.Compare(count(b), count(a)), strings.Compare(a, b))
}

// find opens the file with the position, wherever it has gone. If it is gone
// altogether, the files that are newer follow.
func (t *tailer) find() error {
	all, at, err := t.locate()
	if err != nil || len(all) == 0 {
		return err
	}
	if t.pos.HeadLen == 0 && t.pos.ModTime == 0 {
		// Nothing was read before. What was rotated earlier stays unread, unless
		// there is no file under the path's own name: then they all belong to the
		// log.
		if last := all[len(all)-1]; last.path == t.path {
			return t.open(last.info, t.pos)
		}
		return t.open(all[0].info, t.pos)
	}
	if at != nil {
		return t.open(at.info, t.pos)
	}
	for _, c := range all {
		switch changed := c.info.ModTime().UnixNano(); {
		case t.pos.HeadLen == 0 && changed >= t.pos.ModTime:
			return t.open(c.info, t.pos) // it was empty then
		case changed > t.pos.ModTime:
			t.gaps.Add(1)
			t.o.Logger.Warn("alert: the log that was read last is gone; what it had after that is lost", "source", t.o.Name)
			return t.open(c.info, filePosition{Generation: t.pos.Generation + 1})
		}
	}
	return nil // nothing newer yet
}

// locate returns the candidates and the one that the position is in, if any. A
// rotation between the look at the folder and that into a file has it look
// again; while they go on there are no candidates.
func (t *tailer) locate() (all []candidate, at *candidate, err error) {
	for range looks {
		if all, err = t.candidates(); err != nil {
			return nil, nil, err
		}
		moved := false
		for i := len(all) - 1; i >= 0 && at == nil && !moved; i-- {
			var is bool
			if is, moved = t.isPosition(all[i]); is {
				at = &all[i]
			}
		}
		if !moved {
			return all, at, nil
		}
	}
	return nil, nil, nil
}

// isPosition reports whether the position is in that file, or else whether the
// file has another name meanwhile.
func (t *tailer) isPosition(c candidate) (is, moved bool) {
	if c.info.Size() < t.pos.Offset || t.pos.HeadLen == 0 {
		return false, false
	}
	f, err := c.open()
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	data := make([]byte, t.pos.HeadLen)
	if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return false, false
	}
	return hashOf(data) == t.pos.Head, false
}

// open opens the candidate. If its name has gone to another file meanwhile, the
// error is that of one that is not there.
func (c candidate) open() (*os.File, error) {
	f, err := os.Open(c.path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, c.info) {
		err = fmt.Errorf("%s is another file now: %w", c.path, fs.ErrNotExist)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open opens a file of the log at a position in it.
func (t *tailer) open(want fs.FileInfo, pos filePosition) error {
	all, err := t.candidates()
	if err != nil {
		return err
	}
	for _, c := range all {
		if !os.SameFile(c.info, want) {
			continue
		}
		f, err := c.open()
		if errors.Is(err, fs.ErrNotExist) {
			continue // renamed just now: found again at the next step
		}
		if err != nil {
			return err
		}
		start := make([]byte, headBytes)
		n, err := f.ReadAt(start, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			f.Close()
			return err
		}
		t.file, t.pos, t.format, t.next = f, pos, t.File.format(), nil
		t.head = append(t.head[:0], start[:n]...)
		t.pos.ModTime = c.info.ModTime().UnixNano()
		t.read, t.buf = pos.Offset, t.buf[:0]
		return t.checkpoint(true)
	}
	return nil
}

// leave closes a file that was truncated. What was copied before that is
// looked for and read to its end; if there is no copy, what had come since the
// last look is lost, and reading begins anew.
func (t *tailer) leave() error {
	t.pos.Head, t.pos.HeadLen = t.head.sum()
	half := len(t.buf)
	t.close()
	t.file, t.next, t.buf = nil, nil, t.buf[:0]
	all, at, err := t.locate()
	if err != nil {
		return err
	}
	if at != nil {
		return t.open(at.info, t.pos)
	}
	t.gaps.Add(1)
	if half > 0 {
		t.truncated.Add(1)
	}
	t.o.Logger.Warn("alert: there is no copy of the log that was truncated; what it had after what was read is lost", "source", t.o.Name)
	if err := t.advance(t.format.Flush(), t.read); err != nil || len(all) == 0 {
		return err
	}
	return t.open(all[len(all)-1].info, filePosition{Generation: t.pos.Generation + 1})
}

// newer returns the file that follows the open one, once the engine writes to
// it: a new file may be there while the engine still writes to the old one.
func (t *tailer) newer() (fs.FileInfo, error) {
	now, err := t.file.Stat()
	if err != nil {
		return nil, err
	}
	if live, err := os.Stat(t.path); err == nil && os.SameFile(live, now) {
		return nil, nil
	}
	all, err := t.candidates()
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(c candidate) bool { return os.SameFile(c.info, now) })
	for i, c := range all {
		after := i > at && at >= 0 || at < 0 && (c.path == t.path || c.info.ModTime().After(now.ModTime()))
		if after && c.info.Size() > 0 {
			return c.info, nil
		}
	}
	return nil, nil
}
