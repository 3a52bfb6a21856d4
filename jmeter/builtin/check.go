package builtin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/opnfv/clover/jmeter"
)

// response is what assertions and extraction look at.
type response struct {
	status int
	header string // lines as they came, where something looks at them
	body   []byte // at most Options.MaxBodyBytes
	size   int64  // of the whole body
	parsed bool
	doc    any
}

// document returns the body as JSON, nil if it is none.
func (r *response) document() any {
	if !r.parsed {
		r.parsed = true
		dec := json.NewDecoder(bytes.NewReader(r.body))
		dec.UseNumber()
		if dec.Decode(&r.doc) != nil {
			r.doc = nil
		}
	}
	return r.doc
}

type extractor struct {
	jmeter.Extractor
	path        jmeter.JSONPath
	re          *regexp.Regexp
	left, right jmeter.Template
	otherwise   jmeter.Template
}

func (c *compiler) extractor(x jmeter.Extractor) extractor {
	out := extractor{Extractor: x, otherwise: c.text(x.Default), left: c.text(x.Expression), right: c.text(x.Right)}
	if x.Kind != jmeter.ByBoundary && strings.Contains(x.Expression, "${") {
		c.cannot("extract %s: a variable in %.60q", x.Variable, x.Expression)
	}
	switch x.Kind {
	case jmeter.ByJSONPath:
		path, err := jmeter.ParseJSONPath(x.Expression)
		if err != nil {
			c.cannot("extract %s: %v", x.Variable, err)
		}
		out.path = path
	case jmeter.ByRegexp:
		if out.re = c.regexp(x.Expression, "extract"); out.re != nil && out.re.NumSubexp() < 1 {
			c.cannot("extract %s: %q has no group", x.Variable, x.Expression)
		}
	}
	return out
}

func (x *extractor) apply(u *user, r *response) {
	v, ok := x.find(u, r)
	if !ok {
		v = x.otherwise.Expand(u.value)
	}
	u.vars[x.Variable] = v
}

func (x *extractor) find(u *user, r *response) (string, bool) {
	switch x.Kind {
	case jmeter.ByJSONPath:
		if doc := r.document(); doc != nil {
			return x.path.First(doc)
		}
	case jmeter.ByRegexp:
		if m := x.re.FindSubmatch(r.body); m != nil {
			return string(m[1]), true
		}
	case jmeter.ByHeader:
		for line := range strings.Lines(r.header) {
			name, value, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, x.Expression) {
				return strings.TrimSpace(value), true
			}
		}
	case jmeter.ByBoundary:
		_, rest, ok := bytes.Cut(r.body, []byte(x.left.Expand(u.value)))
		if ok {
			v, _, ok := bytes.Cut(rest, []byte(x.right.Expand(u.value)))
			return string(v), ok
		}
	}
	return "", false
}

type assertion struct {
	jmeter.Assertion
	path   jmeter.JSONPath
	re     *regexp.Regexp
	values []jmeter.Template
}

func (c *compiler) assertion(a jmeter.Assertion) assertion {
	out := assertion{Assertion: a}
	for _, v := range a.Values {
		out.values = append(out.values, c.text(v))
	}
	switch a.Kind {
	case jmeter.BodyMatches:
		if strings.Contains(a.Values[0], "${") {
			c.cannot("assert: a variable in the regular expression %.60q", a.Values[0])
		}
		out.re = c.regexp(a.Values[0], "assert")
	case jmeter.JSONPathIs:
		path, err := jmeter.ParseJSONPath(a.Values[0])
		if err != nil {
			c.cannot("assert: %v", err)
		}
		out.path = path
	}
	return out
}

// failure says why an assertion does not hold; "": it does.
func (a *assertion) failure(u *user, x *jmeter.Sample, r *response) string {
	switch a.Kind {
	case jmeter.StatusIs:
		for _, v := range a.values {
			if v.Expand(u.value) == x.Code {
				return ""
			}
		}
		return fmt.Sprintf("status %s; want %s", x.Code, strings.Join(a.Values, " or "))
	case jmeter.BodyContains, jmeter.BodyContainsNot:
		if bytes.Contains(r.body, []byte(a.values[0].Expand(u.value))) == (a.Kind == jmeter.BodyContains) {
			return ""
		}
	case jmeter.BodyMatches:
		if a.re.Match(r.body) {
			return ""
		}
	case jmeter.JSONPathIs:
		v, ok := "", false
		if doc := r.document(); doc != nil {
			v, ok = a.path.First(doc)
		}
		if ok && (len(a.values) == 1 || v == a.values[1].Expand(u.value)) {
			return ""
		}
	case jmeter.DurationAtMost:
		if x.Elapsed <= a.Duration {
			return ""
		}
	case jmeter.SizeAtMost:
		if r.size <= a.Bytes {
			return ""
		}
	case jmeter.SizeAtLeast:
		if r.size >= a.Bytes {
			return ""
		}
	}
	return "assertion failed: " + a.String()
}
