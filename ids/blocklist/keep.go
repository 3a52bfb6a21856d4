package blocklist

import (
	"errors"
	"fmt"
)

// errNotKept says what becomes of a change that could not be written.
var errNotKept = errors.New("in force, but not kept over a restart")

// write writes a change down. What cannot be written is in force all the
// same, and an error. mu is held.
func (l *List) write(r record) error {
	if l.journal == nil {
		return nil
	}
	if err := l.journal.append(r); err != nil {
		return fmt.Errorf("%w: %w", errNotKept, err)
	}
	return nil
}

// tidy writes the journal anew where that is due, and returns what became of a
// change before it. mu is not held while the disk is waited for, so that
// nobody else waits for it.
func (l *List) tidy(changed error) error {
	if !l.tidying.TryLock() {
		return changed // somebody does it
	}
	defer l.tidying.Unlock()
	l.mu.Lock()
	j := l.journal
	if j == nil || !j.due(len(l.entries)) {
		l.mu.Unlock()
		return changed
	}
	l.expire()
	entries := l.sorted()
	j.begin()
	l.mu.Unlock()

	err := j.write(entries)

	l.mu.Lock()
	defer l.mu.Unlock()
	switch err = j.end(len(entries), err); {
	case err != nil && changed == nil:
		return fmt.Errorf("%w: %w", errNotKept, err)
	case err == nil && errors.Is(changed, errNotKept):
		return nil // it is among the entries
	}
	return changed
}
