package visibility

// Term is a part of a [Filter], for those who translate filters into another
// language. Its meaning is that of [Filter.MatchKey] and [Filter.MatchSpan].
type Term struct {
	// Op is "and", "or" (of at least two Terms), "not" (of one), or how a
	// field is compared: = != < <= > >= ~ !~ in, "not in".
	Op    string
	Terms []Term

	Field  string   // one of FilterFields
	Tag    string   // of the field "tag": its key
	Values []string // to compare with; one but for in and "not in"
	Number float64  // Values[0] as a number, for < <= > >=: seconds for a duration
}

// Term returns the filter as a tree; false for the filter that matches
// everything. A value that a row lacks is equal to nothing and differs from
// all.
func (f *Filter) Term() (Term, bool) {
	if f == nil {
		return Term{}, false
	}
	return termOf(f.root), true
}

func termOf(n node) Term {
	switch n := n.(type) {
	case allOf:
		return Term{Op: "and", Terms: termsOf(n)}
	case anyOf:
		return Term{Op: "or", Terms: termsOf(n)}
	case not:
		return Term{Op: "not", Terms: []Term{termOf(n.node)}}
	case *comparison:
		t := Term{Op: n.op, Field: n.field.name, Tag: n.tag, Values: n.values, Number: n.number}
		if n.negate {
			t.Op = "not in"
		}
		return t
	}
	panic("visibility: a filter has a node of an unknown type") // there are four
}

func termsOf(nodes []node) []Term {
	terms := make([]Term, len(nodes))
	for i, n := range nodes {
		terms[i] = termOf(n)
	}
	return terms
}
