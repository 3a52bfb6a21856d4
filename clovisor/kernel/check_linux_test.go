package kernel

import (
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
)

// TestCheck holds that the report agrees with what New does.
func TestCheck(t *testing.T) {
	ns := testutil.Namespace(t) // or the test ends for want of rights
	r := Check()
	for _, f := range r.Features {
		t.Logf("%-18s %-8s %s %s", f.Name, f.State, f.Detail, f.Remedy)
		if (f.State == OK) != (f.Remedy == "") {
			t.Errorf("%s is %s, its remedy %q", f.Name, f.State, f.Remedy)
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{})
	c.attach(Target{ID: 1, Interface: ns.HostInterface})
	s, err := c.Stats()
	if err != nil || s.Hook != r.Hook || s.Buffer != r.Buffer || r.Release == "" {
		t.Errorf("report %+v, stats %+v, %v", r, s, err)
	}
}

func TestReportErr(t *testing.T) {
	var r Report
	r.add("a", true, Missing, "found", "do this")
	r.add("b", false, Degraded, "another way", "do that")
	if err := r.Err(); err != nil {
		t.Errorf("degraded: %v", err)
	}
	r.add("c", false, Missing, "not found", "do something")
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "do something") {
		t.Errorf("missing: %v", err)
	}
}
