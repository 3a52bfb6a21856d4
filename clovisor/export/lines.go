package export

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/opnfv/clover/clovisor/session"
)

// Format is how [Lines] writes sessions.
type Format string

// The formats.
const (
	// Text is one aligned line a session, for people.
	Text Format = "text"
	// JSON is one object a line, a [Record].
	JSON Format = "json"
)

// ParseFormat reads "text" or "json".
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Text, JSON:
		return f, nil
	}
	return "", fmt.Errorf("format %q: want text or json", s)
}

// LineOptions says how lines look. The zero value is text, coloured on a
// terminal.
type LineOptions struct {
	Format Format // empty: Text
	// NoColor never colours; without it text is coloured where the writer is a
	// terminal that can be, and NO_COLOR is not set.
	NoColor bool
}

// Lines writes sessions to a writer, one line each, in one Write each. Its
// methods may be called concurrently.
type Lines struct {
	w      io.Writer
	format Format
	color  bool

	mu  sync.Mutex
	buf []byte
}

// NewLines returns Lines that write to w.
func NewLines(w io.Writer, o LineOptions) *Lines {
	return &Lines{w: w, format: o.Format, color: !o.NoColor && o.Format != JSON && isTerminal(w)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Write writes one session. The error is the writer's.
func (l *Lines) Write(s *session.Session, p Place) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = l.buf[:0]
	if l.format == JSON {
		l.buf = appendJSON(l.buf, s, p)
	} else {
		l.buf = appendText(l.buf, s, p, l.color)
	}
	l.buf = append(l.buf, '\n')
	_, err := l.w.Write(l.buf)
	return err
}
