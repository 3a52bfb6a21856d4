package jmeter

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// JSONPath is a path to values of a JSON document, of the part of RFC 9535
// that all runners have: $, .name, ['name'], [n] from either end, [*] and .*.
type JSONPath struct{ steps []pathStep }

type pathStep struct {
	name string
	at   int
	kind byte // 'n'ame, 'i'ndex, '*'
}

var pathPiece = regexp.MustCompile(`^(?:\.([A-Za-z_\x{80}-\x{10FFFF}][A-Za-z0-9_\x{80}-\x{10FFFF}-]*)|\['([^'\\]*)'\]|\["([^"\\]*)"\]|\[(-?[0-9]{1,9})\]|(\.\*|\[\*\]))`)

// ParseJSONPath reads a path.
func ParseJSONPath(s string) (JSONPath, error) {
	var p JSONPath
	if s == "" || s[0] != '$' {
		return p, fmt.Errorf("%q; a JSON path begins with $, e.g. $.items[0].id", s)
	}
	for rest := s[1:]; rest != ""; {
		m := pathPiece.FindStringSubmatch(rest)
		if m == nil {
			return p, fmt.Errorf("%q: not known from %q on; want .name, ['name'], [0] or [*]", s, rest)
		}
		switch {
		case m[4] != "":
			n, err := strconv.Atoi(m[4])
			if err != nil {
				return p, err
			}
			p.steps = append(p.steps, pathStep{kind: 'i', at: n})
		case m[5] != "":
			p.steps = append(p.steps, pathStep{kind: '*'})
		default:
			p.steps = append(p.steps, pathStep{kind: 'n', name: m[1] + m[2] + m[3]})
		}
		rest = rest[len(m[0]):]
	}
	return p, nil
}

// First returns the first value at the path in a document as text: a string
// as it is, everything else as JSON. ok is false if there is none.
func (p JSONPath) First(v any) (text string, ok bool) {
	v, ok = find(v, p.steps)
	if !ok {
		return "", false
	}
	if s, isText := v.(string); isText {
		return s, true
	}
	data, err := json.Marshal(v)
	return string(data), err == nil
}

func find(v any, steps []pathStep) (any, bool) {
	if len(steps) == 0 {
		return v, true
	}
	switch s := steps[0]; s.kind {
	case 'n':
		m, _ := v.(map[string]any)
		if next, ok := m[s.name]; ok {
			return find(next, steps[1:])
		}
	case 'i':
		list, _ := v.([]any)
		i := s.at
		if i < 0 {
			i += len(list)
		}
		if i >= 0 && i < len(list) {
			return find(list[i], steps[1:])
		}
	default:
		if list, ok := v.([]any); ok {
			for _, e := range list {
				if found, ok := find(e, steps[1:]); ok {
					return found, true
				}
			}
		}
	}
	return nil, false
}

// quoteJSON writes a text as JSON.
func quoteJSON(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // no text has an error
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// jsonNumber writes a number of YAML as JSON if it is one of JSON too.
func jsonNumber(s string) string {
	if json.Valid([]byte(s)) {
		return s
	}
	return quoteJSON(s)
}
