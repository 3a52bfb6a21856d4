package target

import (
	"slices"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
)

// TestLinks names interfaces of this machine and of a namespace.
func TestLinks(t *testing.T) {
	ns := testutil.Namespace(t)
	path, err := NetnsPath(ns.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		netns string
		names []string
		want  Target
	}{
		{"", []string{ns.HostInterface}, Target{Interface: ns.HostInterface}},
		{"", []string{"lo"}, Target{Interface: "lo", Inside: true, Loopback: true}},
		{path, nil, Target{Interface: ns.Interface, Inside: true}},
		{path, []string{"lo"}, Target{Interface: "lo", Inside: true, Loopback: true}},
	} {
		got, err := Links(c.netns, c.names, []Port{{Number: 80}}, nil)
		if err != nil || len(got) != 1 {
			t.Errorf("%s %v: %v, %v", c.netns, c.names, got, err)
			continue
		}
		g := got[0]
		if g.Interface != c.want.Interface || g.Inside != c.want.Inside || g.Loopback != c.want.Loopback || g.Index == 0 ||
			g.Netns != c.netns || (g.NetnsInode == 0) != (c.netns == "") || (g.NetnsDevice == 0) != (c.netns == "") || g.ID == "" {
			t.Errorf("%s %v: %+v", c.netns, c.names, g)
		}
	}
	if _, err := Links(path, []string{"nonesuch"}, nil, nil); err == nil || !strings.Contains(err.Error(), "there are") || !strings.Contains(err.Error(), ns.Interface) {
		t.Errorf("no interface: %v", err)
	}
	if _, err := NetnsPath("nonesuch"); err == nil || !strings.Contains(err.Error(), ns.Name) {
		t.Errorf("no namespace: %v", err)
	}
}

func TestSameSet(t *testing.T) {
	a := Set{Targets: []Target{{ID: "a", Netns: "/proc/1/ns/net", NetnsInode: 7, Ports: []Port{{Number: 1}}}}}
	b := Set{Targets: slices.Clone(a.Targets)}
	b.Targets[0].Netns = "/proc/2/ns/net"
	if a.Equal(&b) || !a.Targets[0].Same(&b.Targets[0]) {
		t.Error("another way to the same namespace is not told, or is another target")
	}
	b = Set{Targets: slices.Clone(a.Targets)}
	b.Targets[0].Ports = []Port{{Number: 2}}
	if a.Equal(&b) || !a.Targets[0].SamePlace(&b.Targets[0]) {
		t.Error("another port is no change, or another place")
	}
}
