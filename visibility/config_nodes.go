package visibility

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// entry reads one entry of a list: {field: value} or the plain value. It
// returns the value and the node that holds it.
func (r *configReader) entry(n ast.Node, at, field string) (string, ast.Node, bool) {
	pairs, ok := strictyaml.Pairs(n)
	if !ok {
		text, ok := r.scalar(n, at, "{"+field+": ...} or a plain string")
		return text, n, ok
	}
	var value ast.Node
	for _, p := range pairs {
		switch written, key := strictyaml.Key(p.Key); {
		case key != field:
			r.fault(p.Key, at+"."+written, "unknown key; want %s", field)
			return "", nil, false
		case value != nil:
			r.fault(p.Key, at+"."+field, "given twice")
			return "", nil, false
		default:
			value = p.Value
		}
	}
	if value == nil {
		r.fault(n, at+"."+field, "missing; want {%s: ...}", field)
		return "", nil, false
	}
	text, ok := r.scalar(value, at+"."+field, "a string or number")
	return text, value, ok
}

// scalar reads a string or number as it was written.
func (r *configReader) scalar(n ast.Node, key, want string) (string, bool) {
	text, ok := scalarText(n)
	if !ok {
		r.fault(n, key, "%s; want %s", strictyaml.Describe(n), want)
	}
	return text, ok
}

func (r *configReader) fault(at ast.Node, key, format string, args ...any) {
	r.errs = append(r.errs, faultAt(at, key, format, args...))
}

func faultAt(at ast.Node, key, format string, args ...any) *ConfigError {
	return (*ConfigError)(strictyaml.At(at, clip(key), format, args...))
}

// scalarText returns a string's or number's text without quotes.
func scalarText(n ast.Node) (string, bool) {
	switch n.(type) {
	case *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return "", false // no value of the schema is one
	}
	return strictyaml.Scalar(n)
}

// suggest says which of the known names was meant, or lists them.
func suggest(name string, known []string) string {
	best, bestDistance := "", len(name)/3+2
	for _, k := range known {
		if d := editDistance(name, k, bestDistance); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "want one of " + strings.Join(known, ", ")
}

// editDistance is the Levenshtein distance of a and b, or limit if it is not
// below limit.
func editDistance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return min(row[len(b)], limit)
}

func abs(n int) int { return max(n, -n) }
