package target

// Selector picks the pods of a namespace, or those of them with a label.
type Selector struct {
	Namespace string
	// Key and Value are a label; an empty Key means every pod.
	Key, Value string
}

// EgressRule is a sort of connections from pods.
type EgressRule struct {
	Egress
	// PodPrefix is how the names of these pods begin.
	PodPrefix string
}

// Selection is what the operator wants to see.
type Selection struct {
	// Selectors are or-ed; none selects every pod of namespace "default".
	Selectors []Selector
	Egress    []EgressRule
	// Known reports whether a parser is there for a protocol that is none of
	// this package's; nil knows none.
	Known func(protocol string) bool
}

// DefaultNamespace is what is traced if nothing is selected.
const DefaultNamespace = "default"
