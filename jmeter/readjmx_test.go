package jmeter_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opnfv/clover/jmeter"
)

// TestChangedPlanKeepsTheRest holds that a change of one request of a file
// changes nothing else in it, also nothing that the model does not have.
func TestChangedPlanKeepsTheRest(t *testing.T) {
	data, err := os.ReadFile("testdata/full.jmx")
	if err != nil {
		t.Fatal(err)
	}
	// What JMeter's users have besides: comments, other properties, plug-ins.
	text := strings.Replace(string(data), `testname="detail" enabled="true">`,
		`testname="detail" enabled="true"><stringProp name="TestPlan.comments">mine</stringProp><stringProp name="HTTPSampler.ipSource">10.0.0.1</stringProp>`, 1)
	text = strings.Replace(text, `<OnceOnlyController`, `<kg.apc.Plugin testname="odd" enabled="true"><x a="1"><y>2</y></x></kg.apc.Plugin><hashTree></hashTree><OnceOnlyController`, 1)
	plan, err := jmeter.ReadJMX([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	same, err := plan.JMX()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := jmeter.SamePlan([]byte(text), same); err != nil || !ok {
		t.Errorf("unchanged, it differs (%v)", err)
	}
	var opaque, unknown int
	plan.Walk(func(_ *jmeter.Group, s jmeter.Step) {
		switch s := s.(type) {
		case *jmeter.Opaque:
			opaque++
		case *jmeter.Request:
			if s.Name == "detail" {
				unknown = len(s.Unknown())
				s.URL.Path = "/changed"
			}
		}
	})
	if opaque != 1 || unknown != 1 {
		t.Errorf("%d opaque elements and %d unknown properties, want 1 and 1", opaque, unknown)
	}
	changed, err := plan.JMX()
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(same), "\n"), strings.Split(string(changed), "\n")
	if len(a) != len(b) {
		t.Fatalf("%d lines have become %d", len(a), len(b))
	}
	var differ []string
	for i := range a {
		if a[i] != b[i] {
			differ = append(differ, strings.TrimSpace(a[i])+" => "+strings.TrimSpace(b[i]))
		}
	}
	if len(differ) != 1 || !strings.HasSuffix(differ[0], ">/changed</stringProp>") {
		t.Errorf("changed: %q", differ)
	}
}

// TestRatesOfJMXAreBounded holds that a rate whose arrivals would never end is
// left to JMeter.
func TestRatesOfJMXAreBounded(t *testing.T) {
	plan, err := jmeter.ParsePlan([]byte("load_spec: {rate: 5, duration: 1}\nurl_list: [{name: a, url: http://a/}]"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := plan.JMX()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "rate(5/sec)", "rate(1"+strings.Repeat("0", 300)+"/sec)", 1)
	plan, err = jmeter.ReadJMX([]byte(text))
	if err == nil && len(plan.Groups) > 0 {
		t.Errorf("a group with a rate of %g", plan.Groups[0].Load.Rate)
	}
}
