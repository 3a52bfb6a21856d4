package mesh

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Difference is one field that Apply would change.
type Difference struct {
	// Object is "KIND NAMESPACE/NAME".
	Object string
	// Field is its path; "" is the whole resource, which does not exist yet.
	Field string
	// Was and Will are the values; nil is none.
	Was, Will any
}

// String returns one line: "OBJECT: FIELD: WAS -> WILL".
func (d Difference) String() string {
	if d.Field == "" {
		return d.Object + ": will be created"
	}
	return fmt.Sprintf("%s: %s: %s -> %s", d.Object, d.Field, shown(d.Was), shown(d.Will))
}

func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}

// Diff says what Apply would change, and fails where it would. The API server
// works it out in a dry run, so that defaults and the fields of other
// managers are heeded. Nothing is changed.
func (c *Client) Diff(ctx context.Context, s Set) ([]Difference, error) {
	planned, err := c.plan(ctx, s)
	if err != nil {
		return nil, err
	}
	var all []Difference
	for i, e := range s.entries() {
		live, err := c.live(ctx, e)
		if err != nil {
			return nil, fault("read", e.label(), err)
		}
		if live == nil {
			all = append(all, Difference{Object: e.label()})
			continue
		}
		all = append(all, differences(e.label(), live, planned[i])...)
	}
	return all, nil
}

// differences compares what people write into a resource.
func differences(object string, was, will *unstructured.Unstructured) []Difference {
	var all []Difference
	for _, part := range []string{"labels", "annotations"} {
		a, _, _ := unstructured.NestedFieldNoCopy(was.Object, "metadata", part)
		b, _, _ := unstructured.NestedFieldNoCopy(will.Object, "metadata", part)
		compare("metadata."+part, a, b, func(field string, was, will any) {
			all = append(all, Difference{object, field, was, will})
		})
	}
	compare("spec", was.Object["spec"], will.Object["spec"], func(field string, was, will any) {
		all = append(all, Difference{object, field, was, will})
	})
	return all
}

// compare reports the deepest fields that differ, in the order of their names.
func compare(path string, was, will any, report func(field string, was, will any)) {
	if reflect.DeepEqual(was, will) {
		return
	}
	switch a := was.(type) {
	case map[string]any:
		b, ok := will.(map[string]any)
		if !ok {
			break
		}
		keys := maps.Clone(a)
		maps.Copy(keys, b)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			compare(path+"."+key, a[key], b[key], report)
		}
		return
	case []any:
		b, ok := will.([]any)
		if !ok {
			break
		}
		for i := range max(len(a), len(b)) {
			compare(fmt.Sprintf("%s[%d]", path, i), at(a, i), at(b, i), report)
		}
		return
	}
	report(path, was, will)
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}
