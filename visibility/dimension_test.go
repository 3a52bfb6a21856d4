package visibility_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func TestDimensionNames(t *testing.T) {
	for i, name := range visibility.DimensionNames() {
		for _, spelling := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "_", "-"), " " + name + " "} {
			if d, err := visibility.ParseDimension(spelling); err != nil || int(d) != i || d.String() != name {
				t.Errorf("%q: %v, %v", spelling, d, err)
			}
		}
	}
	if _, err := visibility.ParseDimension("servce"); !errors.Is(err, visibility.ErrInvalid) || !strings.Contains(err.Error(), "did you mean service?") {
		t.Errorf("servce: %v", err)
	}
	if got := visibility.Dimension(99).String(); got != "dimension(99)" {
		t.Errorf("a dimension that is none: %q", got)
	}
}

func TestSameService(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"clover_server1", "clover-server1", true},
		{"clover_server1", "clover-server1.default", true},
		{"Clover-Server1.default", "clover_server1", true},
		{"a.default", "a.default", true},
		{"a.default", "a.other", false},
		{"a.default.svc", "a.default", false}, // two namespaces, as far as one can tell
		{"a", "ab", false},
		{"a", "ab.default", false},
		{"", "a", false},
		{"", "", true},
		{" a ", "a", true},
	} {
		if got := visibility.SameService(c.a, c.b); got != c.want || visibility.SameService(c.b, c.a) != c.want {
			t.Errorf("%q and %q: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	s := tracing.NewSpan()
	s.Service, s.Kind, s.StatusCode, s.Error = "a", tracing.KindClient, 503, true
	s.UpstreamCluster = "outbound|80||b.default.svc.cluster.local"
	k := visibility.KeyOf(&s)
	for d, want := range map[visibility.Dimension]string{
		visibility.Service: "a", visibility.Kind: "client", visibility.Status: "503", visibility.ErrorFlag: "true",
		visibility.Source: "a", visibility.Destination: "b.default", visibility.URL: "",
	} {
		if k[d] != want {
			t.Errorf("client: %v is %q, want %q", d, k[d], want)
		}
	}
	for _, c := range []struct {
		mode visibility.CountMode
		role visibility.Role
		want string
	}{
		{visibility.CountRequests, visibility.RoleClient, "b.default"},
		{visibility.CountRequests, visibility.RoleServer, "a"},
		{visibility.CountSpans, visibility.RoleClient, "a"},
	} {
		if got := k.Value(visibility.Service, c.mode, c.role); got != c.want {
			t.Errorf("counting %v, role %d: service %q, want %q", c.mode, c.role, got, c.want)
		}
	}
	k[visibility.Destination] = ""
	if got := k.ServiceIn(visibility.CountRequests, visibility.RoleClient); got != visibility.Unknown {
		t.Errorf("a client's side that asked nobody knows whom belongs to %q", got)
	}
	s.Kind, s.StatusCode, s.Error = tracing.KindServer, 0, false
	k = visibility.KeyOf(&s)
	if k[visibility.Source] != visibility.External || k[visibility.Destination] != "a" || k[visibility.Status] != "" || k[visibility.ErrorFlag] != "false" {
		t.Errorf("root server: %q", k)
	}
	s.ParentID[0] = 1
	if k = visibility.KeyOf(&s); k[visibility.Source] != "" {
		t.Errorf("a server with a parent: source %q", k[visibility.Source])
	}
}

func TestRoleCounts(t *testing.T) {
	for role, want := range map[visibility.Role]bool{visibility.RoleSpan: false, visibility.RoleServer: true, visibility.RoleClient: true} {
		if role.Counts(visibility.CountRequests) != want || !role.Counts(visibility.CountSpans) {
			t.Errorf("role %d", role)
		}
	}
}

func TestParseCountMode(t *testing.T) {
	for text, want := range map[string]visibility.CountMode{"": visibility.CountRequests, "requests": visibility.CountRequests, "spans": visibility.CountSpans} {
		if got, err := visibility.ParseCountMode(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := visibility.ParseCountMode("hits"); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("hits: %v", err)
	}
}
