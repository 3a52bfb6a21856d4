package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/opnfv/clover/spinnaker"
)

// rule is a line of .helmignore.
type rule struct {
	pattern string
	negated bool // what does not match is left out
	dirOnly bool
	whole   bool // the whole path is matched, not the last element
}

// rules are those of a chart (Helm's internal/ignore).
type rules []rule

// readIgnore reads .helmignore, if there is one, and adds the rule that Helm
// has always.
func readIgnore(chart fs.FS) (rules, error) {
	out := rules{{pattern: "templates/.?*", whole: true}}
	data, err := fs.ReadFile(chart, ".helmignore")
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := newRule(line)
		if err != nil {
			return nil, &spinnaker.FieldError{Field: ".helmignore", Line: i + 1, Column: 1, Msg: err.Error()}
		}
		out = append(out, r)
	}
	return out, nil
}

func newRule(line string) (rule, error) {
	var r rule
	if strings.Contains(line, "**") {
		return r, errors.New("** is not supported, by Helm neither")
	}
	line, r.negated = strings.CutPrefix(line, "!")
	line, r.dirOnly = strings.CutSuffix(line, "/")
	r.whole = strings.Contains(line, "/")
	r.pattern = strings.TrimPrefix(line, "/")
	if _, err := path.Match(r.pattern, "x"); err != nil {
		return r, fmt.Errorf("%q is no pattern", r.pattern)
	}
	return r, nil
}

// ignores reports whether Helm leaves a file or folder out.
func (all rules) ignores(name string, dir bool) bool {
	return slices.ContainsFunc(all, func(r rule) bool {
		target := name
		if !r.whole {
			target = path.Base(name)
		}
		matches, _ := path.Match(r.pattern, target) // checked by newRule
		if r.negated {
			return !matches || (r.dirOnly && !dir)
		}
		return matches && (!r.dirOnly || dir)
	})
}
