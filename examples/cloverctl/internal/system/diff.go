package system

import (
	"context"
	"fmt"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// contextLines is how much of what stays the same a difference shows.
const contextLines = 3

// Diff asks the API server what installing a system would change, and returns
// it as a unified diff; "" if nothing would.
func (in *Installer) Diff(ctx context.Context, s System, o Options) (string, error) {
	p, err := in.Plan(ctx, s, o)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Keep {
			continue
		}
		want := s.Want
		if !p.NewNamespace || s.Want.GetNamespace() != p.Namespace { // else the server would refuse it
			var err error
			if want, err = s.patch(ctx, p.force, true); err != nil {
				return "", kube.Explain(err)
			}
		}
		text, err := difference(s.Live, want)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

// difference is one object's; live may be nil.
func difference(live, want *unstructured.Unstructured) (string, error) {
	if live != nil && same(live, want) {
		return "", nil
	}
	name := fmt.Sprintf("%s/%s", strings.ToLower(want.GetKind()), want.GetName())
	if ns := want.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	before := ""
	if live != nil {
		live, want = masked(live, want)
		text, err := yaml.Marshal(live.Object)
		if err != nil {
			return "", err
		}
		before = string(text)
	} else {
		want, _ = masked(want, want)
	}
	text, err := yaml.Marshal(want.Object)
	if err != nil {
		return "", err
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(before), B: difflib.SplitLines(string(text)),
		FromFile: "live/" + name, ToFile: "wanted/" + name, Context: contextLines,
	})
}

// masked hides the data of Secrets, but not whether they differ.
func masked(live, want *unstructured.Unstructured) (a, b *unstructured.Unstructured) {
	a, b = bare(live), bare(want)
	if a.GetKind() != "Secret" {
		return a, b
	}
	for _, field := range []string{"data", "stringData"} {
		before, _, errA := unstructured.NestedMap(a.Object, field)
		after, _, errB := unstructured.NestedMap(b.Object, field)
		if errA != nil || errB != nil {
			continue
		}
		for key := range before {
			changed := after[key] != before[key]
			before[key] = "***"
			if _, ok := after[key]; ok && !changed {
				after[key] = "***"
			}
		}
		for key := range after {
			if after[key] != "***" {
				after[key] = "*** (changed)"
			}
		}
		if len(before) > 0 {
			a.Object[field] = before
		}
		if len(after) > 0 {
			b.Object[field] = after
		}
	}
	return a, b
}
