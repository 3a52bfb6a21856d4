package loadbalancer

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/opnfv/clover/internal/strictyaml"
)

// Change is one difference between two configurations.
type Change struct {
	// Field names entries of lists by what identifies them, e.g.
	// "groups[cloverlb].servers[clover-server4:9180].weight".
	Field string
	// Old and New are what was there and what is; empty: nothing.
	Old, New string
}

// String returns "FIELD: OLD -> NEW", "+ FIELD: NEW" or "- FIELD: OLD".
func (c Change) String() string {
	switch {
	case c.Old == "":
		return strings.TrimSuffix(fmt.Sprintf("+ %s: %s", c.Field, c.New), ": ")
	case c.New == "":
		return strings.TrimSuffix(fmt.Sprintf("- %s: %s", c.Field, c.Old), ": ")
	}
	return fmt.Sprintf("%s: %s -> %s", c.Field, c.Old, c.New)
}

// Diff lists what changes from one configuration to another, in the order of
// the fields. The order of lists does not count.
func Diff(from, to Config) []Change {
	d := &differ{}
	d.fields("", reflect.ValueOf(from), reflect.ValueOf(to))
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) add(field, from, to string) {
	d.changes = append(d.changes, Change{Field: field, Old: from, New: to})
}

func (d *differ) fields(at string, from, to reflect.Value) {
	for i := range from.NumField() {
		field := strictyaml.JoinKey(at, fieldName(from.Type().Field(i)))
		a, b := from.Field(i), to.Field(i)
		switch {
		case a.Kind() == reflect.Slice:
			d.list(field, a, b)
		case a.Kind() == reflect.Struct:
			if _, ok := a.Interface().(fmt.Stringer); !ok {
				d.fields(field, a, b)
			} else if !reflect.DeepEqual(a.Interface(), b.Interface()) {
				d.add(field, plain(a), plain(b))
			}
		case !a.Equal(b):
			d.value(field, a, b)
		}
	}
}

// value notes a plain value that is set, unset or another one.
func (d *differ) value(field string, a, b reflect.Value) {
	from, to := plain(a), plain(b)
	// The zero value of an enumeration has a name.
	if _, named := a.Interface().(fmt.Stringer); !named {
		if a.IsZero() {
			from = "default"
		}
		if b.IsZero() {
			to = "default"
		}
	}
	d.add(field, from, to)
}

func (d *differ) list(field string, from, to reflect.Value) {
	byID := func(in reflect.Value) map[string]reflect.Value {
		m := make(map[string]reflect.Value, in.Len())
		for i := in.Len() - 1; i >= 0; i-- { // of several the first stays
			m[identity(in.Index(i))] = in.Index(i)
		}
		return m
	}
	before, after := byID(from), byID(to)
	for i := range from.Len() {
		a := from.Index(i)
		id := identity(a)
		at := fmt.Sprintf("%s[%s]", field, id)
		b, ok := after[id]
		if !ok {
			d.add(at, summary(a), "")
		} else if _, text := a.Interface().(fmt.Stringer); !text && a.Kind() == reflect.Struct {
			d.fields(at, a, b)
		}
	}
	for i := range to.Len() {
		b := to.Index(i)
		id := identity(b)
		if _, ok := before[id]; !ok {
			d.add(fmt.Sprintf("%s[%s]", field, id), "", summary(b))
		}
	}
}

// identity is what makes an entry of a list the same as another.
func identity(v reflect.Value) string {
	switch v := v.Interface().(type) {
	case Listener:
		return v.Address
	case Group:
		return v.Name
	case Server:
		return v.Address
	case Site:
		return v.Name
	case Location:
		return v.Match
	case Route:
		id := v.Host + v.Path
		if v.Exact {
			id = "=" + id
		}
		return id
	}
	return plain(v)
}

// plain is a value as people write it.
func plain(v reflect.Value) string { return fmt.Sprint(v.Interface()) }

// summary lists the fields of a value that are set.
func summary(v reflect.Value) string {
	if _, ok := v.Interface().(fmt.Stringer); ok || v.Kind() != reflect.Struct {
		return plain(v)
	}
	var parts []string
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		name := fieldName(v.Type().Field(i))
		if f.Kind() == reflect.Slice {
			var entries []string
			for j := range f.Len() {
				entries = append(entries, identity(f.Index(j)))
			}
			parts = append(parts, fmt.Sprintf("%s [%s]", name, strings.Join(entries, " ")))
			continue
		}
		parts = append(parts, name+" "+summary(f))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// fieldName is a field as files name it.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
