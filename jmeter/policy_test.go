package jmeter_test

import (
	"errors"
	"net"
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
