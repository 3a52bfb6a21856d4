package ids

import "testing"

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "any"}, {"any", "any"}, {"ANY", "any"}, {"!any", "!any"}, {"$HOME_NET", "$HOME_NET"}, {"!$HOME_NET", "!$HOME_NET"},
		{"10.0.0.1", "10.0.0.1"}, {"10.0.0.0/8", "10.0.0.0/8"}, {"10.0.0.0/255.0.0.0", "10.0.0.0/8"},
		{"2001:db8::/32", "2001:db8::/32"}, {"::1", "::1"}, {"10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"},
		{"[10.0.0.1, !10.0.0.2,[$A,![1.1.1.1,2.2.2.2]]]", "[10.0.0.1,!10.0.0.2,[$A,![1.1.1.1,2.2.2.2]]]"},
		{"1.1.1.1,2.2.2.2", "[1.1.1.1,2.2.2.2]"}, {"! 1.1.1.1", "!1.1.1.1"}, {"!!1.1.1.1", "1.1.1.1"},
		{"[]", ""}, {"[1.1.1.1", ""}, {"1.1.1", ""}, {"1.1.1.1/33", ""}, {"1.1.1.1/255.0.255.0", ""}, {"$", ""}, {"$A;B", ""},
		{"9.9.9.9-1.1.1.1", ""}, {"[1.1.1.1] x", ""}, {"[[[[[[[[[[[[[[[[[[1.1.1.1]]]]]]]]]]]]]]]]]]", ""}, {"[1.1.1.1,]", ""},
	} {
		a, err := Addresses(c.text).Parse()
		if (err != nil) != (c.want == "") || err == nil && a.String() != c.want {
			t.Errorf("%q: %s, %v", c.text, a, err)
		}
	}
}

func TestPorts(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "any"}, {"any", "any"}, {"80", "80"}, {"!80", "!80"}, {"1:1024", "1:1024"}, {":1024", ":1024"}, {"1024:", "1024:"},
		{"[80,8000:8100,!8080]", "[80,8000:8100,!8080]"}, {"$HTTP_PORTS", "$HTTP_PORTS"}, {"[!$A, [1,2]]", "[!$A,[1,2]]"}, {"0", "0"},
		{"65536", ""}, {"-1", ""}, {"http", ""}, {"9:1", ""}, {"[80", ""},
	} {
		p, err := Ports(c.text).Parse()
		if (err != nil) != (c.want == "") || err == nil && p.String() != c.want {
			t.Errorf("%q: %s, %v", c.text, p, err)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		text string
		want Version
		ok   bool
	}{{"7.0.10", Version{7, 0}, true}, {"v8.0", Version{8, 0}, true}, {"3", Version{3, 0}, true}, {"9.0-dev", Version{9, 0}, true}, {"x", Version{}, false}, {"1.x", Version{}, false}} {
		if v, err := ParseVersion(c.text); v != c.want && c.ok || (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", c.text, v, err)
		}
	}
	if !(Version{6, 0}).before(Version{7, 0}) || (Version{}).before(Version{7, 0}) || (Version{7, 1}).before(Version{7, 0}) {
		t.Error("order of versions")
	}
	for _, d := range dialects {
		if got, err := ParseDialect(d.String()); got != d || err != nil {
			t.Errorf("%s: %v, %v", d, got, err)
		}
	}
	if _, err := ParseDialect("zeek"); err == nil {
		t.Error("zeek is a dialect")
	}
}
