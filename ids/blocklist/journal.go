package blocklist

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
)

// maxLine bounds a line of the journal.
const maxLine = 64 << 10

// record is a line of the journal: an entry as it became, or one that was
// removed.
type record struct {
	Entry   *Entry       `json:"entry,omitempty"`
	Removed netip.Prefix `json:"removed,omitzero"`
}

// journal is the file with the entries: a line a change. It survives the end
// of the process at any point; what a machine that loses power has not yet
// written is lost, since a block must not wait for a disk. The List's lock is
// held for all of its methods but write.
type journal struct {
	path  string
	file  *os.File
	lines int
	// torn: a line may be there in part, so that nothing can follow it.
	torn bool
	// anew: the file is being written anew; since is what came meanwhile.
	anew  bool
	since []record
}

// errTorn says that nothing can be added to the file.
var errTorn = errors.New("half a line is in the file")

// openJournal reads the entries and begins the file anew with them, so that
// the half line of a process that was killed is gone.
func openJournal(path string) ([]Entry, *journal, error) {
	entries, err := readJournal(path)
	if err != nil {
		return nil, nil, err
	}
	j := &journal{path: path}
	if err := j.compact(entries); err != nil {
		return nil, nil, err
	}
	return entries, j, nil
}

func readJournal(path string) ([]Entry, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := map[netip.Prefix]Entry{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			if complete := bytes.HasSuffix(data, []byte("\n")); !complete && lastLine(data, lines.Bytes()) {
				break // the process was killed while it wrote
			}
			return nil, fmt.Errorf("%s:%d: %w; remove the line, or the file to begin anew", path, n, err)
		}
		switch {
		case r.Entry != nil && r.Entry.Prefix.IsValid():
			entries[r.Entry.Prefix] = *r.Entry
		case r.Removed.IsValid():
			delete(entries, r.Removed)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	list := make([]Entry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	return list, nil
}

// lastLine reports whether a line is the last of a file.
func lastLine(data, line []byte) bool { return bytes.HasSuffix(data, line) }

// due reports whether the file is to be written anew.
func (j *journal) due(entries int) bool { return j.torn || j.lines > 1000 && j.lines > 4*entries }

// append adds a line.
func (j *journal) append(r record) error {
	if j.anew {
		j.since = append(j.since, r)
	}
	if j.torn {
		return errTorn
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if j.file == nil {
		if j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
			return err
		}
	}
	j.lines++
	if _, err = j.file.Write(append(line, '\n')); err != nil {
		j.torn = true
	}
	return err
}

// begin says that write follows, and then end.
func (j *journal) begin() { j.anew, j.since = true, nil }

// next is the file that is to replace the journal.
func (j *journal) next() string { return j.path + ".next" }

// write writes the entries to the disk, into the next file.
func (j *journal) write(entries []Entry) error { return writeEntries(j.next(), entries) }

// end replaces the file by the next one, to which it adds what has come since;
// written is the error of write. If it fails, the file is as it was.
func (j *journal) end(entries int, written error) error {
	since := j.since
	j.anew, j.since = false, nil
	if written != nil {
		return errors.Join(written, os.Remove(j.next()))
	}
	if err := j.close(); err != nil {
		return err
	}
	before := *j
	j.path, j.lines, j.torn = j.next(), entries, false
	for _, r := range since {
		if err := j.append(r); err != nil {
			err = errors.Join(err, j.close(), os.Remove(j.path))
			*j = before
			return err
		}
	}
	j.path = before.path
	return os.Rename(j.next(), j.path)
}

// compact replaces the file by one with the entries.
func (j *journal) compact(entries []Entry) error {
	j.begin()
	return j.end(len(entries), j.write(entries))
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

func writeEntries(path string, entries []Entry) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffered)
	for i := range entries {
		if err := encoder.Encode(record{Entry: &entries[i]}); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Sync()
}
