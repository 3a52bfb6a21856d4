package visibility

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opnfv/clover/tracing"
)

// Dimension is something requests and spans can be grouped and filtered by.
type Dimension uint8

// The dimensions, in the order in which a [Key] holds them.
const (
	Service Dimension = iota
	Operation
	URL
	URLTemplate
	Status
	Method
	UserAgent
	UpstreamCluster
	Node
	Kind
	Source
	Destination
	Version
	ErrorFlag
	NumDimensions = iota
)

var dimensionNames = [NumDimensions]string{
	"service", "operation", "url", "url_template", "status", "method",
	"user_agent", "upstream_cluster", "node", "kind", "source", "destination",
	"version", "error",
}

// String returns the name used in filters, flags and the API.
func (d Dimension) String() string {
	if int(d) < len(dimensionNames) {
		return dimensionNames[d]
	}
	return fmt.Sprintf("dimension(%d)", uint8(d))
}

// DimensionNames lists the names that [ParseDimension] accepts, in the order
// of the constants.
func DimensionNames() []string { return slices.Clone(dimensionNames[:]) }

// ParseDimension reads a dimension's name. Case does not matter, and '-' may
// stand for '_'.
func ParseDimension(s string) (Dimension, error) {
	name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "-", "_")
	if i := slices.Index(dimensionNames[:], name); i >= 0 {
		return Dimension(i), nil
	}
	return 0, invalidf("dimension %q is not known; %s", s, suggest(name, dimensionNames[:]))
}

// Values that stand where a real one is missing or was left out.
const (
	// Other collects what did not fit under a cardinality limit.
	Other = "(other)"
	// External is the source of a request that started its trace.
	External = "(external)"
	// Unknown is the source of a request whose caller's span never came.
	Unknown = "(unknown)"
)

// Role says what a rolled-up span counts as.
type Role uint8

const (
	// RoleSpan counts as a span only: the client's side of a hop whose
	// server's side is known, and internal work.
	RoleSpan Role = iota
	// RoleServer counts as a request, taken at the server's side.
	RoleServer
	// RoleClient counts as a request, taken at the client's side because no
	// server's side exists. In request mode it belongs to its Destination.
	RoleClient
)

// Counts reports whether a span of this role is counted in the given mode.
func (r Role) Counts(mode CountMode) bool { return mode == CountSpans || r != RoleSpan }

// Key is one value for each dimension, "" where a span has none.
type Key [NumDimensions]string

// KeyOf returns a span's key. Source and Destination are what the span alone
// can tell: a client knows both, a server knows its source only if it is the
// trace's root; the store completes it from the parent span.
func KeyOf(s *tracing.Span) Key {
	k := Key{
		Service: s.Service, Operation: s.Operation, URL: s.URL, URLTemplate: s.URLTemplate,
		Method: s.Method, UserAgent: s.UserAgent, UpstreamCluster: s.UpstreamCluster,
		Node: s.Node, Kind: s.Kind.String(), Version: s.Version, ErrorFlag: "false",
	}
	if s.StatusCode != 0 {
		k[Status] = strconv.Itoa(s.StatusCode)
	}
	if s.Error {
		k[ErrorFlag] = "true"
	}
	switch s.Side() {
	case tracing.SideServer:
		k[Destination] = s.Service
		if s.ParentID.IsZero() {
			k[Source] = External
		}
	case tracing.SideClient:
		k[Source] = s.Service
		k[Destination] = s.Destination()
	}
	return k
}

// ServiceIn returns the service that a span of this key counts for: the one
// that reported it, except that a request seen from its client's side only
// belongs to the service that was asked.
func (k *Key) ServiceIn(mode CountMode, role Role) string {
	if mode == CountRequests && role == RoleClient {
		if k[Destination] == "" {
			return Unknown
		}
		return k[Destination]
	}
	return k[Service]
}

// Value returns the key's value of d as it counts in the given mode.
func (k *Key) Value(d Dimension, mode CountMode, role Role) string {
	if d == Service {
		return k.ServiceIn(mode, role)
	}
	return k[d]
}

// SameService reports whether two service names mean the same service: "_"
// and "-" are equal, and a name without a namespace equals the same name with
// one ("clover_server1", "clover-server1.default").
func SameService(a, b string) bool {
	a, b = CanonicalService(a), CanonicalService(b)
	if a == b {
		return true
	}
	shortA, _, qualifiedA := strings.Cut(a, ".")
	shortB, _, qualifiedB := strings.Cut(b, ".")
	return shortA == shortB && qualifiedA != qualifiedB
}

// CanonicalService returns a service name in lower case with '-' for '_'.
func CanonicalService(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
}
