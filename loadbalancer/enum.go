package loadbalancer

import (
	"fmt"
	"slices"
	"strings"
)

// Method is a way to choose a server.
type Method string

// The methods. Each respects weights, states and bounds of the servers.
const (
	// RoundRobin takes the servers in turn, by weight in a smooth order.
	RoundRobin Method = ""
	// LeastConnections takes the server with the fewest requests under way
	// for its weight.
	LeastConnections Method = "least_connections"
	// RandomTwoChoices draws two servers by weight and takes the one with
	// fewer requests under way for its weight.
	RandomTwoChoices Method = "random_two_choices"
	// Hash takes the server that the request's HashKey falls to. When a
	// server comes or goes, only about its own share of the keys moves. A
	// request without a key is treated as one with an empty key.
	Hash Method = "hash"
)

// HashSource is where a hash key is read.
type HashSource string

// The sources of hash keys.
const (
	// HashSourceAddress is the address of the client, see [Access].
	HashSourceAddress HashSource = ""
	HashHeader        HashSource = "header"
	HashCookie        HashSource = "cookie"
	// HashURI is path and query as the client sent them.
	HashURI HashSource = "uri"
)

// State is what a person wants of a server.
type State string

// The states.
const (
	Up State = ""
	// Drain gives a server no new requests and lets those under way end.
	Drain State = "drain"
	// Down gives a server no new requests. Those under way may be ended by a
	// driver that cannot do otherwise; the built-in proxy lets them end.
	Down State = "down"
)

// Protocol is what the servers of a group speak.
type Protocol string

// The protocols.
const (
	HTTP1 Protocol = ""
	// H2C is HTTP/2 without TLS, with prior knowledge, as gRPC needs it.
	H2C Protocol = "h2c"
)

// HostHeader is the Host header (:authority) that a server sees.
type HostHeader string

// The ways to set it.
const (
	// HostOfClient passes on what the client sent.
	HostOfClient HostHeader = ""
	// HostOfServer is the server's address as the configuration has it.
	HostOfServer HostHeader = "server"
)

// enum checks a value of one of the types above. Its first name is how people
// write the zero value.
type enum[T ~string] struct {
	what  string
	zero  string
	other []T
}

var (
	methods     = enum[Method]{"method", "round_robin", []Method{LeastConnections, RandomTwoChoices, Hash}}
	hashSources = enum[HashSource]{"hash source", "source_address", []HashSource{HashHeader, HashCookie, HashURI}}
	states      = enum[State]{"state", "up", []State{Drain, Down}}
	protocols   = enum[Protocol]{"protocol", "http1", []Protocol{H2C}}
	hostHeaders = enum[HostHeader]{"host header", "client", []HostHeader{HostOfServer}}
)

func (e enum[T]) valid(v T) bool { return v == "" || slices.Contains(e.other, v) }

// parse reads a value as people write it: in any case, with "-" for "_".
func (e enum[T]) parse(text string) (T, error) {
	v := strings.ReplaceAll(strings.ToLower(text), "-", "_")
	if v == e.zero {
		return "", nil
	}
	if v != "" && slices.Contains(e.other, T(v)) {
		return T(v), nil
	}
	return "", fmt.Errorf("%q is no %s; want %s", text, e.what, e.names())
}

func (e enum[T]) names() string {
	names := []string{e.zero}
	for _, v := range e.other {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}

func (e enum[T]) name(v T) string {
	if v == "" {
		return e.zero
	}
	return string(v)
}

// ParseMethod reads a method, e.g. "round_robin" or "least-connections".
func ParseMethod(text string) (Method, error) { return methods.parse(text) }

// ParseState reads "up", "drain" or "down".
func ParseState(text string) (State, error) { return states.parse(text) }

// String returns the method as people write it.
func (m Method) String() string { return methods.name(m) }

// String returns the source as people write it.
func (s HashSource) String() string { return hashSources.name(s) }

// String returns the state as people write it.
func (s State) String() string { return states.name(s) }

// String returns the protocol as people write it.
func (p Protocol) String() string { return protocols.name(p) }

// String returns the way as people write it.
func (h HostHeader) String() string { return hostHeaders.name(h) }
