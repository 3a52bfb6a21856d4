package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// EVE says where Suricata writes alerts. Exactly one of File, Socket and
// Redis is used; all empty means the file "eve.json" in the log folder.
type EVE struct {
	// File is a path, which a reader follows.
	File string
	// MaxBytes is how long the file gets before it is rotated; 0 is 64 MiB.
	MaxBytes int64
	// Keep is how many rotated files stay; 0 is 4. A reader that is farther
	// behind loses alerts, and counts a gap.
	Keep int
	// Socket is the path of a unix socket at which a reader listens.
	Socket string
	// Datagram sends each alert as a datagram to Socket, else it is a stream.
	Datagram bool
	// Redis is the server, as HOST:PORT.
	Redis *EVERedis
}

// EVERedis says where in Redis Suricata writes alerts.
type EVERedis struct {
	Host string // empty is 127.0.0.1
	Port int    // 0 is 6379
	// Mode is "rpush", the default and the one whose order is that of the
	// alerts, "lpush" or "publish".
	Mode string
	Key  string // of the list or channel; empty is "suricata"
}

// Defaults of the file of alerts.
const (
	defaultEVEBytes = 64 << 20
	defaultEVEKeep  = 4
)

// text is a string that is always written in double quotes, so that none is
// taken for anything else.
type text string

// MarshalYAML implements yaml.BytesMarshaler. A string of JSON is one of YAML.
func (t text) MarshalYAML() ([]byte, error) { return json.Marshal(string(t)) }

// yamlHeader is what Suricata wants a configuration to begin with.
const yamlHeader = "%YAML 1.1\n---\n"

// config is Suricata's configuration, in the order in which it is written.
// What a user gives becomes a scalar of YAML here, whatever it has in it.
func (s *Suricata) config() ([]byte, error) {
	o := s.options
	if err := o.printable(); err != nil {
		return nil, err
	}
	doc := yaml.MapSlice{
		{Key: "vars", Value: yaml.MapSlice{
			{Key: "address-groups", Value: sorted(o.Addresses)},
			{Key: "port-groups", Value: sorted(o.Ports)},
		}},
		{Key: "default-log-dir", Value: text(o.LogDir)},
		{Key: "stats", Value: yaml.MapSlice{{Key: "enabled", Value: true}, {Key: "interval", Value: 1}}},
		{Key: "outputs", Value: []yaml.MapSlice{
			{{Key: "eve-log", Value: s.eve()}},
			// Nothing counts without an output for it; the socket has the counters.
			{{Key: "stats", Value: yaml.MapSlice{{Key: "enabled", Value: true}, {Key: "filename", Value: os.DevNull}, {Key: "append", Value: true}}}},
		}},
		{Key: "logging", Value: yaml.MapSlice{
			{Key: "default-log-level", Value: "info"},
			{Key: "outputs", Value: []yaml.MapSlice{
				{{Key: "console", Value: yaml.MapSlice{{Key: "enabled", Value: true}, {Key: "type", Value: "json"}}}},
				{{Key: "file", Value: yaml.MapSlice{{Key: "enabled", Value: true}, {Key: "level", Value: "notice"}, {Key: "filename", Value: "suricata.log"}}}},
			}},
		}},
		{Key: "unix-command", Value: yaml.MapSlice{{Key: "enabled", Value: true}, {Key: "filename", Value: text(s.socket)}}},
		// What pods send among each other has no checksums yet when it is seen:
		// the network card would add them.
		// Inline means that a request is looked at when it comes. Otherwise that
		// waits until it was acknowledged and the client sends something again:
		// 40 ms as a rule, and for ever with a body that does not come.
		{Key: "stream", Value: yaml.MapSlice{
			{Key: "checksum-validation", Value: false}, {Key: "midstream", Value: !o.NoMidstream}, {Key: "inline", Value: true},
		}},
		{Key: "pcap-file", Value: yaml.MapSlice{{Key: "checksum-checks", Value: false}}},
		{Key: "app-layer", Value: yaml.MapSlice{{Key: "protocols", Value: appLayer()}}},
		{Key: "classification-file", Value: text(o.ClassificationFile)},
		{Key: "reference-config-file", Value: text(o.ReferenceFile)},
		{Key: "threshold-file", Value: text(o.ThresholdFile)},
		{Key: "rule-files", Value: []text{text(s.rules.path)}},
	}
	var interfaces []yaml.MapSlice
	for i, name := range o.Interfaces {
		item := yaml.MapSlice{
			{Key: "interface", Value: text(name)}, {Key: "cluster-id", Value: 99 - i}, {Key: "cluster-type", Value: "cluster_flow"},
			{Key: "defrag", Value: true}, {Key: "threads", Value: max(o.Threads, 1)},
			{Key: "checksum-checks", Value: false},
			// A block of packets is given to the engine after 10 ms, full or not.
			{Key: "tpacket-v3", Value: true}, {Key: "block-timeout", Value: 10},
		}
		if o.Filter != "" {
			item = append(item, yaml.MapItem{Key: "bpf-filter", Value: text(o.Filter)})
		}
		interfaces = append(interfaces, item)
	}
	doc = append(doc, yaml.MapItem{Key: "af-packet", Value: interfaces})
	var b bytes.Buffer
	b.WriteString(yamlHeader)
	if err := yaml.NewEncoder(&b, yaml.Indent(2)).Encode(doc); err != nil {
		return nil, fmt.Errorf("suricata: encode the configuration: %w", err)
	}
	return b.Bytes(), nil
}

// eve is the output of alerts: with what Clover's alerts have, and nothing
// else.
func (s *Suricata) eve() yaml.MapSlice {
	e := s.options.EVE
	doc := yaml.MapSlice{{Key: "enabled", Value: true}}
	switch {
	case e.Redis != nil:
		doc = append(doc, yaml.MapItem{Key: "filetype", Value: "redis"}, yaml.MapItem{Key: "redis", Value: yaml.MapSlice{
			{Key: "server", Value: text(cmp.Or(e.Redis.Host, "127.0.0.1"))}, {Key: "port", Value: cmp.Or(e.Redis.Port, 6379)},
			{Key: "async", Value: false}, {Key: "mode", Value: text(cmp.Or(e.Redis.Mode, "rpush"))},
			{Key: "key", Value: text(cmp.Or(e.Redis.Key, "suricata"))},
		}})
	case e.Socket != "" && e.Datagram:
		doc = append(doc, yaml.MapItem{Key: "filetype", Value: "unix_dgram"}, yaml.MapItem{Key: "filename", Value: text(e.Socket)})
	case e.Socket != "":
		doc = append(doc, yaml.MapItem{Key: "filetype", Value: "unix_stream"}, yaml.MapItem{Key: "filename", Value: text(e.Socket)})
	default:
		doc = append(doc, yaml.MapItem{Key: "filetype", Value: "regular"}, yaml.MapItem{Key: "filename", Value: text(e.File)})
	}
	return append(doc,
		yaml.MapItem{Key: "xff", Value: yaml.MapSlice{
			{Key: "enabled", Value: true}, {Key: "mode", Value: "extra-data"},
			// The last address is what the nearest proxy has seen.
			{Key: "deployment", Value: "reverse"}, {Key: "header", Value: "X-Forwarded-For"},
		}},
		yaml.MapItem{Key: "types", Value: []yaml.MapSlice{{{Key: "alert", Value: yaml.MapSlice{
			{Key: "payload", Value: true}, {Key: "payload-buffer-size", Value: "4kb"}, {Key: "payload-printable", Value: false},
			{Key: "packet", Value: true}, {Key: "metadata", Value: true}, {Key: "tagged-packets", Value: false},
		}}}}},
	)
}

// appLayer turns on the protocols that Suricata would otherwise complain of,
// for their ports are not to be guessed.
func appLayer() yaml.MapSlice {
	on := yaml.MapSlice{{Key: "enabled", Value: true}}
	ports := func(ports string) yaml.MapSlice {
		return append(slices.Clone(on), yaml.MapItem{Key: "detection-ports", Value: yaml.MapSlice{{Key: "dp", Value: ports}}})
	}
	doc := yaml.MapSlice{
		{Key: "dns", Value: yaml.MapSlice{{Key: "tcp", Value: ports("53")}, {Key: "udp", Value: ports("53")}}},
		{Key: "tls", Value: ports("443")},
		{Key: "smb", Value: ports("139, 445")},
	}
	for _, name := range []string{"http", "http2", "ftp", "smtp", "ssh", "imap", "dcerpc", "nfs", "tftp", "ntp", "quic", "dhcp", "sip", "rdp", "rfb", "snmp", "krb5", "ike", "mqtt", "telnet"} {
		doc = append(doc, yaml.MapItem{Key: name, Value: on})
	}
	return doc
}

// sorted is a map in an order that is always the same.
func sorted(m map[string]string) yaml.MapSlice {
	doc := yaml.MapSlice{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		doc = append(doc, yaml.MapItem{Key: k, Value: text(m[k])})
	}
	return doc
}

// variable is what names of variables are made of.
var variable = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// printable refuses what no name, path or list of addresses has, and what
// parsers of YAML do not agree on.
func (o SuricataOptions) printable() error {
	texts := append([]string{o.Filter, o.LogDir, o.EVE.File, o.EVE.Socket, o.ClassificationFile, o.ReferenceFile, o.ThresholdFile}, o.Interfaces...)
	for _, m := range []map[string]string{o.Addresses, o.Ports} {
		for k, v := range m {
			if !variable.MatchString(k) {
				return fmt.Errorf("suricata: %q is no name of a variable: letters, digits and _ are", k)
			}
			texts = append(texts, v)
		}
	}
	if r := o.EVE.Redis; r != nil {
		texts = append(texts, r.Host, r.Mode, r.Key)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.ContainsFunc(t, unprintable) {
			return fmt.Errorf("suricata: the option %q has a character that is not printable", t)
		}
	}
	return nil
}

func unprintable(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }
