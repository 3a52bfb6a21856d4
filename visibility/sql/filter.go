package sql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// value returns the expression of a dimension's text as it counts in a mode.
func (d Dialect) value(dim visibility.Dimension, mode visibility.CountMode) string {
	switch dim {
	case visibility.Service:
		if mode == visibility.CountRequests {
			// See visibility.Key.ServiceIn.
			return "CASE WHEN role <> 'client' THEN service WHEN destination = '' THEN " +
				d.Text(visibility.Unknown) + " ELSE destination END"
		}
	case visibility.Status:
		return "CASE WHEN status_code = 0 THEN '' ELSE CAST(status_code AS " + d.textType() + ") END"
	case visibility.ErrorFlag:
		return "CASE WHEN error THEN 'true' ELSE 'false' END"
	}
	return dim.String()
}

// where returns the condition of the rows in a range that count in a mode
// and match a filter. Ranges are of whole buckets.
func (d Dialect) where(r visibility.Range, mode visibility.CountMode, f *visibility.Filter) (string, error) {
	conditions := []string{fmt.Sprintf("bucket >= %d AND bucket < %d", r.From.Unix(), r.To.Unix())}
	if mode == visibility.CountRequests {
		conditions = append(conditions, "role <> 'span'")
	}
	if t, ok := f.Term(); ok {
		c, err := d.term(&t, mode)
		if err != nil {
			return "", err
		}
		conditions = append(conditions, c)
	}
	return strings.Join(conditions, " AND "), nil
}

// term compiles a part of a filter.
func (d Dialect) term(t *visibility.Term, mode visibility.CountMode) (string, error) {
	switch t.Op {
	case "and", "or", "not":
		parts := make([]string, len(t.Terms))
		for i := range t.Terms {
			var err error
			if parts[i], err = d.term(&t.Terms[i], mode); err != nil {
				return "", err
			}
		}
		if t.Op == "not" {
			return "NOT " + parts[0], nil
		}
		return "(" + strings.Join(parts, " "+strings.ToUpper(t.Op)+" ") + ")", nil
	}
	dim, err := visibility.ParseDimension(t.Field)
	if err != nil {
		return "", fmt.Errorf("filter: statistics are not kept apart by %s: %w", t.Field, visibility.ErrInvalid)
	}
	expr := d.value(dim, mode)
	switch t.Op {
	case "=", "in":
		return d.oneOf(dim, expr, t.Values), nil
	case "!=", "not in":
		return "NOT " + d.oneOf(dim, expr, t.Values), nil
	case "~", "!~":
		c, err := d.matches(expr, t.Values[0])
		if err != nil {
			return "", fmt.Errorf("filter: %s: %w", t.Field, err)
		}
		// A value that is not there matches nothing.
		c = fmt.Sprintf("((%s) <> '' AND %s)", expr, c)
		if t.Op == "!~" {
			c = "NOT " + c
		}
		return c, nil
	}
	// Of the dimensions only the status is ordered.
	return "(status_code <> 0 AND " + compareNumber("status_code", t.Op, t.Number) + ")", nil
}

// oneOf says that a dimension is equal to one of some values.
func (d Dialect) oneOf(dim visibility.Dimension, expr string, values []string) string {
	var literals, others []string
	for _, v := range values {
		if v == "" {
			continue // a value that is not there equals nothing
		}
		switch dim {
		case visibility.Service, visibility.Source, visibility.Destination:
			others = append(others, d.sameService(expr, v))
		case visibility.Status:
			if len(v) == 3 && strings.EqualFold(v[1:], "xx") {
				others = append(others, fmt.Sprintf("(status_code >= %c00 AND status_code <= %c99)", v[0], v[0]))
				continue
			}
			literals = append(literals, d.Text(v))
		case visibility.Kind:
			literals = append(literals, d.Text(tracing.ParseKind(v).String()))
		case visibility.ErrorFlag:
			literals = append(literals, d.Text(strings.ToLower(v)))
		case visibility.Method:
			others = append(others, fmt.Sprintf("(lower(%s) = lower(%s))", expr, d.Text(v)))
		default:
			literals = append(literals, d.Text(v))
		}
	}
	if len(literals) > 0 {
		slices.Sort(literals)
		others = append(others, fmt.Sprintf("((%s) IN (%s))", expr, strings.Join(slices.Compact(literals), ", ")))
	}
	if len(others) == 0 {
		return "FALSE"
	}
	return "(" + strings.Join(others, " OR ") + ")"
}

// sameService is visibility.SameService with a constant.
func (d Dialect) sameService(expr, name string) string {
	canonical := "replace(lower(trim(" + expr + ")), '_', '-')"
	name = visibility.CanonicalService(name)
	short, _, qualified := strings.Cut(name, ".")
	c := fmt.Sprintf("%s IN (%s", canonical, d.Text(name))
	if qualified {
		c += ", " + d.Text(short) + ")"
	} else {
		c += ") OR " + d.startsWith(canonical, name+".")
	}
	return fmt.Sprintf("(%s <> '' AND (%s))", expr, c)
}
