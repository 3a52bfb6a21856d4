package command

import (
	"fmt"
	"io"
	"os"
	"time"
)

// How often progress is shown: on a terminal one line that changes, else line
// by line.
const (
	progressTerminal = 200 * time.Millisecond
	progressLines    = 10 * time.Second
)

// progress shows how far long work has come.
type progress struct {
	out      io.Writer // nil: nowhere
	terminal bool
	next     time.Time
	shown    bool
}

// progress returns one for standard error; with --quiet it says nothing.
func (a *app) progress() *progress {
	if a.quiet {
		return &progress{}
	}
	f, ok := a.Err.(*os.File)
	p := &progress{out: a.Err, terminal: ok && isTerminal(f)}
	if !p.terminal {
		p.next = time.Now().Add(progressLines)
	}
	return p
}

// say shows a state, unless the last is too fresh.
func (p *progress) say(format string, args ...any) {
	now := time.Now()
	if p.out == nil || now.Before(p.next) {
		return
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
		p.next, p.shown = now.Add(progressTerminal), true
		return
	}
	fmt.Fprintf(p.out, format+"\n", args...)
	p.next = now.Add(progressLines)
}

// end takes the line of a terminal away.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
