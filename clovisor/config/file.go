package config

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// fileLimits bounds a file. Its schema is two levels deep.
var fileLimits = strictyaml.Limits{Bytes: 256 << 10, Depth: 16}

// ParseFile reads a configuration file over the defaults. name is for
// messages. The keys are those of Redis, with or without "clovisor_":
//
//	labels: [default, "my-ns:app:web"]     # namespace[:label-key:label-value]
//	egress_match: ["0:3456:proxy"]         # IP:PORT[:POD_PREFIX], IP 0 = any
//	jaeger_collector: jaeger.tracing:4317  # host:port, or a URL
//	proto_cfg: {memcached: /proto/memcached.wasm}
//	ports: {11211: memcached}
//	limits:
//	  connections: 10000
//	  connection_bytes: 64KiB
//	  memory_bytes: 32MiB
//	  plugin_memory_bytes: 32MiB
//	  plugin_timeout: 50ms
//
// A list may be a single value. Nothing else is accepted: the error joins a
// [*FieldError] for each fault.
func ParseFile(name string, data []byte) (Config, error) {
	u, err := readFile(name, data)
	if err != nil {
		return Config{}, err
	}
	return Config{}.with(u), nil
}

func readFile(name string, data []byte) (update, error) {
	root, fault := strictyaml.Document(data, fileLimits)
	f := faults{source: name}
	if fault != nil {
		f.at(fault)
		return update{}, f.err()
	}
	l := layer{}
	if root != nil { // an empty ConfigMap is no fault
		f.document(l, root)
	}
	u, err := l.read(name, "")
	return u, errors.Join(f.err(), err)
}

// at adds a fault of a file's form.
func (f *faults) at(fault *strictyaml.Fault) {
	f.add(FieldError{Line: fault.Line, Column: fault.Column, Key: fault.Key, Index: -1, Msg: fault.Msg})
}

// document reads a file's mapping into a layer.
func (f *faults) document(l layer, root ast.Node) {
	pairs, ok := strictyaml.Pairs(root)
	if !ok {
		f.at(strictyaml.At(root, "", "%s; want keys with values: %s", strictyaml.Describe(root), keyNames()))
		return
	}
	for _, p := range pairs {
		written, name := strictyaml.Key(p.Key)
		name = strings.TrimPrefix(name, redisPrefix)
		kind, known := kindOf(name)
		_, twice := l[name]
		switch {
		case !known:
			f.at(strictyaml.At(p.Key, clip(written), "is not known; want %s", keyNames()))
		case twice:
			f.at(strictyaml.At(p.Key, name, "is there twice"))
		default:
			l[name] = f.items(kind, p.Value, name)
		}
	}
}

func kindOf(name string) (keyKind, bool) {
	for _, k := range schema {
		if k.name == name {
			return k.kind, true
		}
	}
	return 0, false
}

func keyNames() string {
	names := make([]string, len(schema))
	for i, k := range schema {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// items reads the values of one key.
func (f *faults) items(kind keyKind, n ast.Node, key string) []item {
	var items []item
	add := func(field string, n ast.Node) {
		text, ok := strictyaml.Scalar(n)
		if !ok {
			f.at(strictyaml.At(n, key, "%s; want a string or number", strictyaml.Describe(n)))
			return
		}
		i := item{field: field, text: text}
		i.line, i.column = strictyaml.Place(n)
		items = append(items, i)
	}
	if kind == mapKey {
		f.mapping(n, key, add)
		return items
	}
	list, isList := n.(*ast.SequenceNode)
	switch {
	case !isList:
		add("", n)
	case kind == scalarKey:
		f.at(strictyaml.At(n, key, "a list; want one value"))
	case len(list.Values) == 0 && key == "labels":
		f.at(strictyaml.At(n, key, "an empty list, which would trace nothing; leave the key out for namespace default"))
	default:
		for _, v := range list.Values {
			add("", v)
		}
	}
	return items
}

func (f *faults) mapping(n ast.Node, key string, add func(string, ast.Node)) {
	pairs, ok := strictyaml.Pairs(n)
	if !ok {
		f.at(strictyaml.At(n, key, "%s; want a mapping, e.g. {11211: memcached}", strictyaml.Describe(n)))
		return
	}
	for _, p := range pairs {
		field, ok := strictyaml.Scalar(p.Key)
		if !ok {
			f.at(strictyaml.At(p.Key, key, "%s as a key; want a string or number", strictyaml.Describe(p.Key)))
			continue
		}
		add(field, p.Value)
	}
}
