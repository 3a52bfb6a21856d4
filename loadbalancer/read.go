package loadbalancer

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// ReadBalancer reads lbv1.yaml and lbv2.yaml:
//
//	server_port: "9180"            # the port to listen on
//	server_name: "http-lb-v2"      # what people call it
//	lb_name: "http-lb-v2.default"  # where its agent is
//	lb_group: "cloverlb"           # the group of servers
//	lb_path: "/"                   # what goes to the group
//	lb_list:                       # its servers: all of them
//	  - url: "clover-server4:9180"
//	  - {url: "clover-server5:9180", weight: 2, state: drain, max_connections: 100, slow_start: 30s, backup: false}
//	lb_method: least_connections   # round_robin, random_two_choices, hash
//	lb_hash: "header:X-User"       # or cookie:NAME, uri, source_address
//	lb_health_path: "/healthz"     # and lb_health_interval: 5s
//
// Every value may be a string or a number, and keys may be written with "-"
// for "_". Nothing else is accepted: each fault is a *FieldError with its
// place, several are joined.
func ReadBalancer(data []byte) (BalancerUpdate, error) {
	var u BalancerUpdate
	err := readFile(data, []key{
		{"server_port", into(&u.Port, checked(checkPort))},
		{"server_name", into(&u.Name, checked(checkHost))},
		{"lb_name", into(&u.Agent, checked(checkHost))},
		{"lb_group", into(&u.Group, checked(checkName))},
		{"lb_path", into(&u.Path, checked(checkPath))},
		{"lb_list", listInto(&u.Servers, MaxServers, readServerEntry)},
		{"lb_method", into(&u.Method, pointer(ParseMethod))},
		{"lb_hash", into(&u.Hash, pointer(ParseHashKey))},
		{"lb_health_path", into(&u.HealthPath, checked(checkPath))},
		{"lb_health_interval", into(&u.HealthInterval, parseDuration)},
	})
	return u, err
}

// pointer returns a parser of a value that may also not be given.
func pointer[T any](parse func(string) (T, error)) func(string) (*T, error) {
	return func(text string) (*T, error) {
		v, err := parse(text)
		return &v, err
	}
}

func readServerEntry(r *reader, n ast.Node, at string) (Server, bool) {
	var s Server
	if _, ok := strictyaml.Pairs(n); !ok {
		into(&s.Address, ParseAddress)(r, n, at)
		return s, s.Address != ""
	}
	faults := len(r.faults.faults)
	r.mapping(n, at, []key{
		{"url", into(&s.Address, ParseAddress)},
		{"weight", into(&s.Weight, parseInt(MaxWeight))},
		{"state", into(&s.State, ParseState)},
		{"max_connections", into(&s.MaxConnections, parseInt(1_000_000))},
		{"slow_start", into(&s.SlowStart, parseDuration)},
		{"backup", into(&s.Backup, parseBool)},
	})
	if s.Address == "" && len(r.faults.faults) == faults {
		r.fault(n, strictyaml.JoinKey(at, "url"), "missing; want HOST:PORT")
	}
	return s, s.Address != ""
}

// ReadServer reads server.yaml:
//
//	server_port: "9180"
//	server_name: "clover-server1"
//	site_root: "/var/www/html"
//	site_index: index.html
//	upload_path_config: "/upload"       # takes uploads
//	upload_path_test: "/upload_test"    # a page to upload by hand
//	locations: [{uri_match: "/clover/testurl", directive: "try_files $uri @default2", path: "/clover/testurl"}]
//	files: [{src_file: "/var/www/html/upload/0000000001", dest_file: "var/www/html/clover/testurl/file1.png"}]
//
// A directive is what [ParseTry] reads. See [ReadBalancer] for the rest.
func ReadServer(data []byte) (ServerUpdate, error) {
	var u ServerUpdate
	err := readFile(data, []key{
		{"server_port", into(&u.Port, checked(checkPort))},
		{"server_name", into(&u.Name, checked(checkHost))},
		{"site_root", into(&u.Root, checked(checkAbsolute))},
		{"site_index", into(&u.Index, checked(checkFileName))},
		{"upload_path_config", into(&u.UploadPath, checked(checkPath))},
		{"upload_path_test", into(&u.UploadForm, checked(checkPath))},
		{"locations", listInto(&u.Locations, MaxLocations, readLocation)},
		{"files", listInto(&u.Files, maxFiles, readFileCopy)},
	})
	return u, err
}

func readLocation(r *reader, n ast.Node, at string) (Location, bool) {
	var l Location
	faults := len(r.faults.faults)
	r.mapping(n, at, []key{
		{"uri_match", into(&l.Match, checked(checkPath))},
		{"directive", into(&l.Try, ParseTry)},
		{"path", into(&l.Folder, checked(checkPath))},
	})
	ok := len(r.faults.faults) == faults
	if ok && (l.Match == "" || len(l.Try.Files) == 0) {
		r.fault(n, at, "uri_match and directive are needed")
		return l, false
	}
	return l, ok
}

func readFileCopy(r *reader, n ast.Node, at string) (FileCopy, bool) {
	var f FileCopy
	faults := len(r.faults.faults)
	r.mapping(n, at, []key{
		{"src_file", into(&f.Source, checked(checkFile))},
		{"dest_file", into(&f.Destination, checked(checkFile))},
	})
	ok := len(r.faults.faults) == faults
	if ok && (f.Source == "" || f.Destination == "") {
		r.fault(n, at, "src_file and dest_file are needed")
		return f, false
	}
	return f, ok
}

// ReadProxy reads the fields of the proxy:
//
//	server_port: "9180"
//	server_name: "proxy-access-control"
//	location_path: "/"                 # what is forwarded
//	proxy_path: "http://http-lb:9180"  # where to
//	mirror_path: "http://snort-ids:80" # where copies go, or "-" for nowhere
//	block: [192.0.2.1]                 # addresses or networks to keep out
//	unblock: [192.0.2.2]               # and to let in again
//
// See [ReadBalancer] for the rest.
func ReadProxy(data []byte) (ProxyUpdate, error) {
	var u ProxyUpdate
	err := readFile(data, []key{
		{"server_port", into(&u.Port, checked(checkPort))},
		{"server_name", into(&u.Name, checked(checkHost))},
		{"location_path", into(&u.Path, checked(checkPath))},
		{"proxy_path", into(&u.Upstream, ParseAddress)},
		{"mirror_path", into(&u.Mirror, parseMirror)},
		{"block", listInto(&u.Block, MaxPrefixes, readPrefix)},
		{"unblock", listInto(&u.Unblock, MaxPrefixes, readPrefix)},
	})
	return u, err
}

func parseMirror(text string) (string, error) {
	if text == NoMirror {
		return text, nil
	}
	return ParseAddress(text)
}

func readPrefix(r *reader, n ast.Node, at string) (netip.Prefix, bool) {
	var p netip.Prefix
	into(&p, ParsePrefix)(r, n, at)
	return p, p.IsValid()
}

// ParseAddress reads HOST:PORT or http://HOST:PORT/, as users write the end of
// a connection, and returns HOST:PORT.
func ParseAddress(text string) (string, error) {
	address := strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/")
	if err := checkAddress(address); err != nil {
		return "", &FieldError{Msg: err.Error()}
	}
	return address, nil
}

// ParsePrefix reads an IP address or a network.
func ParsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, &FieldError{Msg: fmt.Sprintf("%q; want an IP address or a network such as 192.0.2.0/24", clip(text))}
	}
	return p.Masked(), nil
}

// ParseHashKey reads "source_address", "uri", "header:NAME" or "cookie:NAME".
func ParseHashKey(text string) (HashKey, error) {
	source, name, _ := strings.Cut(text, ":")
	s, err := hashSources.parse(source)
	if err == nil && (s == HashHeader || s == HashCookie) {
		err = checkToken(name)
	} else if err == nil && name != "" {
		err = fmt.Errorf("%q; %s has no name", clip(text), s)
	}
	if err != nil {
		return HashKey{}, &FieldError{Msg: err.Error()}
	}
	return HashKey{Source: s, Name: name}, nil
}
