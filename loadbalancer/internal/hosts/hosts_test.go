package hosts_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/internal/hosts"
)

func TestAnswered(t *testing.T) {
	for _, test := range []struct {
		host  string
		names []string
		want  bool
	}{
		{"a.test", nil, true},
		{"", nil, true},
		{"a.test", []string{"A.test"}, true},
		{"b.test", []string{"a.test", "*.test"}, true},
		{"*.b.test", []string{"*.test"}, true},
		{"*.test", []string{"*.b.test"}, false},
		{"test", []string{"*.test"}, false},
		{"", []string{"*.test"}, false},
	} {
		if got := hosts.Answered(test.host, test.names); got != test.want {
			t.Errorf("%q of %v: %v", test.host, test.names, got)
		}
	}
}

func TestRoutes(t *testing.T) {
	all := []loadbalancer.Route{
		{Path: "/"}, {Path: "/long"}, {Host: "*.test", Path: "/1"}, {Host: "*.b.test", Path: "/2"}, {Host: "A.b.test", Path: "/3"}, {Host: "other", Path: "/4"},
	}
	long := func(a, b loadbalancer.Route) int { return cmp.Compare(len(b.Path), len(a.Path)) }
	for host, want := range map[string][]string{
		"a.b.test": {"/3", "/2", "/1", "/long", "/"},
		"*.b.test": {"/2", "/1", "/long", "/"},
		"x.test":   {"/1", "/long", "/"},
		"":         {"/long", "/"},
	} {
		var got []string
		for _, r := range hosts.Routes(host, all, long) {
			got = append(got, r.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
