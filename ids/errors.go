package ids

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrSyntax matches every fault in the text of rules and of the files beside
// them.
var ErrSyntax = errors.New("syntax error")

// Position is a place in a file.
type Position struct {
	File   string // as given to the parser, may be empty
	Line   int    // from 1
	Column int    // in bytes, from 1
	Offset int    // in bytes from the start of the file, from 0
}

// String returns FILE:LINE:COLUMN, without FILE: if there is none.
func (p Position) String() string {
	s := strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	if p.File != "" {
		s = p.File + ":" + s
	}
	return s
}

// SyntaxError is one fault in a text. It matches [ErrSyntax].
type SyntaxError struct {
	Position Position
	Message  string
}

func (e *SyntaxError) Error() string { return e.Position.String() + ": " + e.Message }

// Unwrap returns [ErrSyntax].
func (e *SyntaxError) Unwrap() error { return ErrSyntax }

// SyntaxErrors are all faults of one text, in its order.
type SyntaxErrors []*SyntaxError

func (e SyntaxErrors) Error() string {
	switch len(e) {
	case 0:
		return "no error"
	case 1:
		return e[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", e[0], len(e)-1)
}

// Unwrap returns the faults.
func (e SyntaxErrors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}
