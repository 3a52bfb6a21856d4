package conf

import "fmt"

// Limits of what is written and read.
const (
	// MaxWordBytes is how long a word may be as it is written, with its
	// escapes. nginx reads words through a buffer of 4096 bytes.
	MaxWordBytes = 4000
	// MaxDepth is how deep blocks may lie in each other.
	MaxDepth = 64
)

// Directive is one statement of a configuration: a name, its arguments, and
// the block that belongs to it, if any. Entries of maps and types are
// statements too, so a name may be any text.
type Directive struct {
	// Name and Args are the words after unquoting.
	Name string
	Args []string
	// Block is what stands in braces; nil is none, empty is "{}".
	Block []Directive
}

// D is a simple statement.
func D(name string, args ...string) Directive { return Directive{Name: name, Args: args} }

// B is a statement with a block.
func B(name string, args []string, block ...Directive) Directive {
	if block == nil {
		block = []Directive{}
	}
	return Directive{Name: name, Args: args, Block: block}
}

// EncodeError says why a value cannot be written.
type EncodeError struct {
	// Directive is the name of the statement.
	Directive string
	// Word is the index of the word in its statement, 0 being the name.
	Word   int
	Reason string
}

func (e *EncodeError) Error() string {
	return fmt.Sprintf("nginx configuration: %q, word %d: %s", e.Directive, e.Word, e.Reason)
}

// SyntaxError says where a text stops being a configuration.
type SyntaxError struct {
	// Line and Column count from 1; a column is a byte.
	Line, Column int
	Reason       string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("nginx configuration: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}
