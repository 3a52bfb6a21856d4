package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// MaxEntries bounds the entries of each list and mapping.
const MaxEntries = 1000

// Values is a configuration as people write it. What is nil or empty is not
// given, and the layer below counts. It is the form of flags; a file and Redis
// have the same keys.
type Values struct {
	Labels          []string          // namespace[:label-key:label-value]
	EgressMatch     []string          // IP:PORT[:POD_PREFIX], IP 0 = any
	JaegerCollector string            // host:port or URL
	JaegerAgent     string            // host:port
	ProtoCfg        map[string]string // protocol to the file of its plug-in
	Ports           map[string]string // port to protocol
	Limits          map[string]string // see [Limits]; names as in the file
}

// Config returns what the values mean, over the defaults. The error joins a
// [*FieldError] for each fault.
func (v Values) Config() (Config, error) {
	u, err := v.layer().read("flags", "")
	if err != nil {
		return Config{}, err
	}
	return Config{}.with(u), nil
}

// item is one value of a layer, and where it was.
type item struct {
	field        string // of a mapping
	text         string
	line, column int
}

// layer is what one source gives, by the keys of the schema.
type layer map[string][]item

func (v Values) layer() layer {
	l := layer{}
	for key, list := range map[string][]string{"labels": v.Labels, "egress_match": v.EgressMatch} {
		for _, text := range list {
			l[key] = append(l[key], item{text: text})
		}
	}
	for key, text := range map[string]string{"jaeger_collector": v.JaegerCollector, "jaeger_agent": v.JaegerAgent} {
		if text != "" {
			l[key] = []item{{text: text}}
		}
	}
	for key, m := range map[string]map[string]string{"proto_cfg": v.ProtoCfg, "ports": v.Ports, "limits": v.Limits} {
		l.addMap(key, m)
	}
	return l
}

func (l layer) addMap(key string, m map[string]string) {
	for _, field := range slices.Sorted(maps.Keys(m)) {
		l[key] = append(l[key], item{field: field, text: m[field]})
	}
}

// update is what a layer changes. nil: not given.
type update struct {
	workloads        []Selector
	egress           []EgressMatch
	collector, agent string
	plugins          []Plugin
	ports            map[uint16]string
	limits           Limits
}

// with returns c with u laid over it. Ports and plug-ins are laid over one by
// one, lists as a whole.
func (c Config) with(u update) Config {
	if u.workloads != nil {
		c.Workloads = u.workloads
	}
	if u.egress != nil {
		c.Egress = u.egress
	}
	// A collector in an upper layer also hides an agent below it.
	if u.collector != "" || u.agent != "" {
		c.Collector, c.Agent = u.collector, u.agent
	}
	if len(u.plugins) > 0 {
		c.Plugins = overPlugins(c.Plugins, u.plugins)
	}
	if len(u.ports) > 0 {
		ports := maps.Clone(c.Ports)
		if ports == nil {
			ports = map[uint16]string{}
		}
		maps.Copy(ports, u.ports)
		c.Ports = ports
	}
	c.Limits = Limits{
		Connections:       cmp.Or(u.limits.Connections, c.Limits.Connections),
		ConnectionBytes:   cmp.Or(u.limits.ConnectionBytes, c.Limits.ConnectionBytes),
		MemoryBytes:       cmp.Or(u.limits.MemoryBytes, c.Limits.MemoryBytes),
		PluginMemoryBytes: cmp.Or(u.limits.PluginMemoryBytes, c.Limits.PluginMemoryBytes),
		PluginTimeout:     cmp.Or(u.limits.PluginTimeout, c.Limits.PluginTimeout),
	}
	return c
}

func overPlugins(below, above []Plugin) []Plugin {
	list := slices.Clone(above)
	for _, p := range below {
		if !slices.ContainsFunc(above, func(q Plugin) bool { return q.Protocol == p.Protocol }) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b Plugin) int { return strings.Compare(a.Protocol, b.Protocol) })
	return list
}

// keyKind is the shape of a key's value.
type keyKind int

const (
	scalarKey keyKind = iota
	listKey
	mapKey
)

// schemaKey is one key of a layer.
type schemaKey struct {
	name string
	kind keyKind
	read func(*update, item) error
}

// schema lists the keys in the order of the documentation.
var schema = []schemaKey{
	{"labels", listKey, func(u *update, i item) error { return appendTo(&u.workloads, i.text, ParseSelector) }},
	{"egress_match", listKey, func(u *update, i item) error { return appendTo(&u.egress, i.text, ParseEgressMatch) }},
	{"jaeger_collector", scalarKey, func(u *update, i item) error { u.collector = i.text; return checkEndpoint(i.text) }},
	{"jaeger_agent", scalarKey, func(u *update, i item) error { u.agent = i.text; return checkEndpoint(i.text) }},
	{"proto_cfg", mapKey, readPlugin},
	{"ports", mapKey, readPort},
	{"limits", mapKey, readLimit},
}

func appendTo[T comparable](list *[]T, text string, parse func(string) (T, error)) error {
	v, err := parse(text)
	if err == nil && !slices.Contains(*list, v) {
		*list = append(*list, v)
	}
	return err
}

func readPlugin(u *update, i item) error {
	u.plugins = append(u.plugins, Plugin{Protocol: i.field, Path: i.text})
	if err := checkProtocol(i.field); err != nil {
		return err
	}
	return checkPlugin(i.text)
}

func readPort(u *update, i item) error {
	port, err := parsePort(i.field)
	if err != nil {
		return err
	}
	if u.ports == nil {
		u.ports = map[uint16]string{}
	}
	u.ports[port] = i.text
	return checkProtocol(i.text)
}

func readLimit(u *update, i item) (err error) {
	l := &u.limits
	switch i.field {
	case "connections":
		l.Connections, err = parseCount(i.text)
	case "connection_bytes":
		l.ConnectionBytes, err = parseSize(i.text)
	case "memory_bytes":
		l.MemoryBytes, err = parseSize(i.text)
	case "plugin_memory_bytes":
		l.PluginMemoryBytes, err = parseSize(i.text)
	case "plugin_timeout":
		l.PluginTimeout, err = parseTimeout(i.text)
	default:
		err = fmt.Errorf("is not known; want connections, connection_bytes, memory_bytes, plugin_memory_bytes or plugin_timeout")
	}
	return err
}

// read returns what a layer means. prefix is put before keys in faults, as
// the source writes them.
func (l layer) read(source, prefix string) (update, error) {
	var u update
	f := faults{source: source}
	for _, k := range schema {
		items, given := l[k.name]
		if len(items) > MaxEntries {
			f.add(FieldError{Key: prefix + k.name, Index: -1,
				Msg: "more than " + strconv.Itoa(MaxEntries) + " entries; want fewer, or a wider match"})
			continue
		}
		if given && k.name == "egress_match" {
			u.egress = []EgressMatch{} // an empty list means none
		}
		for n, i := range items {
			err := k.read(&u, i)
			if err == nil {
				continue
			}
			e := FieldError{Line: i.line, Column: i.column, Key: prefix + k.name, Index: -1, Msg: err.Error()}
			switch k.kind {
			case listKey:
				e.Index = n
			case mapKey:
				e.Field = clip(i.field)
			}
			f.add(e)
		}
	}
	return u, f.err()
}
