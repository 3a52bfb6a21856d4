// Package strictyaml parses YAML files of which each fault is told by its
// place, for readers that take the tree and know each key. It bounds what a
// file may cost, and takes values as they are written: "001" stays 001.
package strictyaml

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits bounds a file.
type Limits struct {
	Bytes int // how large it may be
	Depth int // how deeply nested; the time to parse grows with its square
	// Secret keeps the parser's own words out of faults: they may quote the
	// file. Keys that are given twice are then the reader's to find.
	Secret bool
}

// Fault is a fault at one place of a file.
type Fault struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // e.g. "services[1].name"; "" if the fault has none
	Msg          string // what is wrong and what would be right
}

// Error returns "line L, column C: KEY: MSG".
func (f *Fault) Error() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", f.Line, f.Column)
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	return b.String() + f.Msg
}

// At returns a fault at the place of a node.
func At(n ast.Node, key, format string, args ...any) *Fault {
	f := &Fault{Key: key, Msg: fmt.Sprintf(format, args...)}
	f.Line, f.Column = Place(n)
	return f
}

// Document returns what a file of one YAML document holds, or nil if that is
// nothing.
func Document(data []byte, limits Limits) (ast.Node, *Fault) {
	if len(data) > limits.Bytes {
		return nil, &Fault{Msg: fmt.Sprintf("%d bytes; at most %d", len(data), limits.Bytes)}
	}
	if line := tooDeep(data, limits.Depth); line > 0 {
		return nil, &Fault{Line: line, Column: 1, Msg: "nested too deeply; want lists of values at most"}
	}
	var options []parser.Option
	if limits.Secret {
		options = append(options, parser.AllowDuplicateMapKey())
	}
	file, err := parser.ParseBytes(data, 0, options...)
	if err != nil {
		return nil, syntaxFault(err, limits.Secret)
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil:
		case body != nil:
			return nil, At(d.Body, "", "a second document; want one")
		default:
			body = d.Body
		}
	}
	return body, nil
}

// maxParserWords bounds what a message has of the parser's own words, which
// may quote the file.
const maxParserWords = 200

func syntaxFault(err error, secret bool) *Fault {
	fault := &Fault{}
	words := err.Error()
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil {
		fault.Line, fault.Column = syntax.Token.Position.Line, syntax.Token.Position.Column
		words = syntax.Message
	} else if len(words) > maxParserWords {
		words = strings.ToValidUTF8(words[:maxParserWords], "") + "…"
	}
	if secret {
		words = "check indentation, quotes and brackets there"
	}
	fault.Msg = "not YAML: " + words
	return fault
}

// tooDeep returns the first line whose nesting exceeds a limit, by a count of
// brackets, dashes and indentation that needs no parser; 0: none.
func tooDeep(data []byte, limit int) int {
	line, brackets, block := 1, 0, 0
	start := true // nothing but spaces, dashes and question marks so far
	for _, b := range data {
		switch b {
		case '[', '{':
			brackets++
		case ']', '}':
			brackets--
		case '\n', '\r':
			start, block = true, -1
			if b == '\n' {
				line++
			}
		}
		if start = start && strings.IndexByte(" \t-?\n\r", b) >= 0; start {
			block++
		}
		if brackets > limit || block > 2*limit {
			return line
		}
	}
	return 0
}

// Place returns where a node begins, from 1; 0 if that is not known.
func Place(n ast.Node) (line, column int) {
	if m, ok := n.(*ast.MappingNode); !ok || !m.IsFlowStyle {
		if pairs, ok := Pairs(n); ok && len(pairs) > 0 {
			n = pairs[0].Key // a block mapping's own token is its first colon
		}
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line, t.Position.Column
	}
	return 0, 0
}

// Pairs returns the pairs of a mapping.
func Pairs(n ast.Node) (pairs []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// Key returns a key as it was written, and its name: in lower case, with "_"
// for "-".
func Key(n ast.Node) (written, name string) {
	written, ok := Scalar(n)
	if !ok {
		written = n.String()
	}
	return written, strings.ReplaceAll(strings.ToLower(written), "-", "_")
}

// Scalar returns the text of a single value as it was written, without quotes.
func Scalar(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// Describe names what a node is, for messages.
func Describe(n ast.Node) string {
	switch n.(type) {
	case *ast.NullNode:
		return "no value"
	case *ast.BoolNode:
		return "a boolean"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, which are not supported"
	case *ast.TagNode:
		return "a tag, which is not supported"
	case *ast.StringNode, *ast.LiteralNode:
		return "a string"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "something else"
}

// JoinKey returns the path of a key inside of another; at may be "".
func JoinKey(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
