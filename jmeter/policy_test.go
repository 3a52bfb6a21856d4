package jmeter_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/opnfv/clover/jmeter"
)

func TestPolicy(t *testing.T) {
	p := jmeter.Policy{Allow: []string{"*.svc.cluster.local", "*.default", "10.0.0.0/8", "*.example"}, Deny: []string{"10.96.0.1", "kubernetes.default*"}}
	for _, c := range []struct {
		host, ip string
		ok       bool
	}{
		{"a.default", "10.1.2.3", true},
		{"a.example", "192.0.2.1", true},
		{"a.example", "169.254.169.254", false}, // a name that resolves to metadata
		{"a.example", "127.0.0.1", false},
		{"kubernetes.default", "10.96.0.1", false},
		{"10.96.0.1", "10.96.0.1", false},
		{"::ffff:10.96.0.1", "10.96.0.1", false},
		{"other.org", "192.0.2.1", false},
		{"a.example", "fd00:ec2::254", false}, // metadata that is not link-local
		{"a.example", "168.63.129.16", false},
		{"a.example", "64:ff9b::a9fe:a9fe", false}, // 169.254.169.254 by NAT64
		{"a.example", "64:ff9b::192.0.2.1", true},
	} {
		if err := p.AllowAddress(c.host, net.ParseIP(c.ip)); (err == nil) != c.ok || err != nil && !errors.Is(err, jmeter.ErrDenied) {
			t.Errorf("%s (%s): %v, want allowed %v", c.host, c.ip, err, c.ok)
		}
	}
	for url, ok := range map[string]bool{
		"http://a.default:9180/x": true, "http://169.254.169.254/latest": false, "https://kubernetes.default/api": false,
		"http://[::1]/": false, "http://${host}/": false, "http://A.DEFAULT./": true,
	} {
		plan, err := jmeter.ParsePlan([]byte("url_list: [{name: a, url: \"" + url + "\"}]"))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(plan); (err == nil) != ok {
			t.Errorf("%s: %v, want allowed %v", url, err, ok)
		}
	}
}

// TestPolicyDeniesWhatCannotBeKnown holds that a plan from someone else can
// neither run programs nor read the files of who runs it.
func TestPolicyDeniesWhatCannotBeKnown(t *testing.T) {
	p := jmeter.Policy{Allow: []string{"*"}}
	const request = "url_list: [{name: a, url: http://a/, "
	for text, ok := range map[string]bool{
		request + "body_file: b.txt}]":                                   true,
		request + "body_file: data/b.txt}]":                              true,
		request + "body_file: /etc/passwd}]":                             false,
		request + "body_file: data/../../b.txt}]":                        false,
		request + "body_file: \"${name}\"}]":                             false,
		request + "multipart: {files: [{field: f, file: ../x}]}}]":       false,
		"functions: true\n" + request + "query: {a: b}}]":                false,
		"data: [{file: /proc/self/environ}]\n" + request + "query: {}}]": false,
	} {
		plan, err := jmeter.ParsePlan([]byte(text))
		if err != nil {
			t.Fatal(text, err)
		}
		if err := p.Check(plan); (err == nil) != ok || err != nil && !errors.Is(err, jmeter.ErrDenied) {
			t.Errorf("%s: %v, want allowed %v", text, err, ok)
		}
	}
	const script = `<JSR223Sampler guiclass="TestBeanGUI" testclass="JSR223Sampler" testname="s" enabled="true"/><hashTree/>`
	const below = `<JSR223PreProcessor guiclass="TestBeanGUI" testclass="JSR223PreProcessor" testname="s" enabled="true"/><hashTree/>`
	plan, err := jmeter.ParsePlan([]byte(request + "query: {}}]"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := plan.JMX()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		before, added string
		ok            bool
	}{{"<HTTPSamplerProxy", "", true}, {"<HTTPSamplerProxy", script, false}, {"<HeaderManager", below, false}} {
		text := strings.Replace(string(data), c.before, c.added+c.before, 1)
		plan, err := jmeter.ReadJMX([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(plan); (err == nil) != c.ok {
			t.Errorf("with %q: %v, want allowed %v", c.added, err, c.ok)
		}
	}
}
