package loadbalancer

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// example is a configuration that uses most of the model.
func example() Config {
	return Config{
		Name:      "http-lb",
		Listeners: []Listener{{Address: ":9180"}, {Address: "127.0.0.1:9181", H2C: true}},
		Groups: []Group{
			{Name: "web", Servers: []Server{{Address: "a:80", Weight: 2}, {Address: "[2001:db8::1]:80", State: Drain}},
				Health: HealthCheck{Path: "/healthz"}},
			{Name: "hash", Method: Hash, Hash: HashKey{Source: HashCookie, Name: "session"}, Servers: []Server{{Address: "c:80", SlowStart: time.Second}}},
		},
		Sites: []Site{{Name: "site", Root: "/var/www/html", UploadPath: "/upload", Locations: []Location{
			{Match: "/x", Try: Try{Files: []string{"$uri"}, Status: 404}}}}},
		Routes: []Route{{Path: "/", Group: "web"}, {Host: "*.example.com", Path: "/h", Group: "hash"}, {Path: "/files", Site: "site"}},
		Mirror: Mirror{Address: "snort-ids:80"},
		Access: Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustedHops: 1},
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []Config{{}, example(), example().WithDefaults()} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for field, spoil := range map[string]func(*Config){
		"listeners[0].address":         func(c *Config) { c.Listeners[0].Address = "example.com:80" },
		"listeners[1].address":         func(c *Config) { c.Listeners[1].Address = ":9180" },
		"listeners[0]":                 func(c *Config) { c.Listeners[0].CertFile = "/c.pem" },
		"server_names[0]":              func(c *Config) { c.ServerNames = []string{"a b"} },
		"groups[0].name":               func(c *Config) { c.Groups[0].Name = "web;" },
		"groups[1].name":               func(c *Config) { c.Groups[1].Name = "web" },
		"groups[0].servers[0].address": func(c *Config) { c.Groups[0].Servers[0].Address = "a:80\n" },
		"groups[0].servers[1].address": func(c *Config) { c.Groups[0].Servers[1].Address = "a:80" },
		"groups[0].servers[0].weight":  func(c *Config) { c.Groups[0].Servers[0].Weight = -1 },
		"groups[0].servers[0].state":   func(c *Config) { c.Groups[0].Servers[0].State = "up; return 200" },
		"groups[0].method":             func(c *Config) { c.Groups[0].Method = "fast" },
		"groups[0].hash":               func(c *Config) { c.Groups[0].Hash = HashKey{Source: HashURI} },
		"groups[1].hash.name":          func(c *Config) { c.Groups[1].Hash.Name = "a}b" },
		"groups[0].health.path":        func(c *Config) { c.Groups[0].Health.Path = ""; c.Groups[0].Health.Fall = 1 },
		"groups[0].connect_timeout":    func(c *Config) { c.Groups[0].ConnectTimeout = -1 },
		"routes[0]":                    func(c *Config) { c.Routes[0].Site = "site" },
		"routes[0].group":              func(c *Config) { c.Routes[0].Group = "none" },
		"routes[0].path":               func(c *Config) { c.Routes[0].Path = "/a\"b" },
		"routes[2]":                    func(c *Config) { c.Routes[2].Path = "" },
		"mirror.address":               func(c *Config) { c.Mirror.Address = "http://x" },
		"access.deny[0]":               func(c *Config) { c.Access.Deny[0] = netip.MustParsePrefix("192.0.2.1/24") },
		"access.trusted_hops":          func(c *Config) { c.Access.TrustedProxies = c.Access.Deny },
		"sites[0].root":                func(c *Config) { c.Sites[0].Root = "/var/../etc" },
		"sites[0].locations[0].try":    func(c *Config) { c.Sites[0].Locations[0].Try.Files = []string{"$request_uri"} },
	} {
		c := example()
		spoil(&c)
		err := c.Validate()
		var f *FieldError
		if !errors.As(err, &f) || f.Field != field || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	c, same := example(), example()
	d := c.Clone()
	d.Listeners[0].Address, d.Groups[0].Servers[0].Address, d.Access.Deny[0] = "", "", netip.Prefix{}
	d.Sites[0].Locations[0].Try.Files[0], d.Routes[0].Group = "", ""
	if !reflect.DeepEqual(c, same) {
		t.Errorf("%+v", c)
	}
}

func TestDiff(t *testing.T) {
	from, to := example(), example()
	to.Groups[0].Servers[0].Weight = 3
	to.Groups[0].Servers[1] = Server{Address: "d:80", State: Down, SlowStart: time.Second}
	to.Groups[1].Method, to.Groups[1].Hash = LeastConnections, HashKey{}
	to.Routes = to.Routes[1:]
	to.Access.Deny = nil
	to.Access.TrustedHops = 0
	to.Name = "other"
	var got []string
	for _, c := range Diff(from, to) {
		got = append(got, c.String())
	}
	want := []string{
		"name: http-lb -> other",
		"groups[web].servers[a:80].weight: 2 -> 3",
		"- groups[web].servers[[2001:db8::1]:80]: address [2001:db8::1]:80, state drain",
		"+ groups[web].servers[d:80]: address d:80, state down, slow_start 1s",
		"groups[hash].method: hash -> least_connections",
		"groups[hash].hash.source: cookie -> source_address",
		"groups[hash].hash.name: session -> default",
		"- routes[/]: path /, group web",
		"- access.deny[192.0.2.0/24]: 192.0.2.0/24",
		"access.trusted_hops: 1 -> default",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d := Diff(from, example()); len(d) != 0 {
		t.Errorf("%v; want none", d)
	}
	if d := Diff(Config{}, from); len(d) == 0 {
		t.Error("no difference from nothing")
	}
}

func TestFeatures(t *testing.T) {
	want := []Feature{
		FeatureHash, FeatureDrain, FeatureSlowStart, FeatureHealthCheck, FeatureH2C, FeatureMirror, FeatureAccess,
		FeatureTrustedHops, FeatureSite, FeatureUpload,
	}
	if got := Features(example()); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	d := Description{Name: "d", Unsupported: map[Feature]string{FeatureHash: "there is none", FeatureTLS: "not asked for"}}
	var u *UnsupportedError
	err := d.Check(example())
	if !errors.As(err, &u) || !errors.Is(err, ErrUnsupported) || len(u.Features) != 1 || err.Error() != "d does not support: hash (there is none)" {
		t.Errorf("%v", err)
	}
	if err := d.Check(Config{Groups: []Group{{}}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestUpdates(t *testing.T) {
	must := func(c Config, err error) Config {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	u, err := ReadBalancer(file(t, "lbv2.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := must(u.Apply(Config{}))
	if c.Listeners[0].Address != ":9180" || c.Name != "http-lb-v2" || len(c.Groups[0].Servers) != 2 || c.Routes[0] != (Route{Path: "/", Group: "cloverlb"}) {
		t.Errorf("%+v", c)
	}
	if again := must(u.Apply(c)); !reflect.DeepEqual(again, c) {
		t.Errorf("the same update again changes %v", Diff(c, again))
	}
	renamed := must(BalancerUpdate{Group: "other", Port: "80"}.Apply(c))
	if renamed.Groups[0].Name != "other" || renamed.Routes[0].Group != "other" || len(renamed.Groups[0].Servers) != 2 {
		t.Errorf("%+v", renamed)
	}
	moved := must(BalancerUpdate{Path: "/shop"}.Apply(c))
	if len(moved.Routes) != 1 || moved.Routes[0].Path != "/shop" {
		t.Errorf("%+v", moved.Routes)
	}
	if _, err := (BalancerUpdate{Group: "none"}).Apply(example()); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v; there are two groups", err)
	}
	p := must(ProxyUpdate{Upstream: "http-lb:9180", Mirror: "snort-ids:80", Block: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}}.Apply(Config{}))
	if p.Mirror.Address != "snort-ids:80" || p.Routes[0] != (Route{Path: "/", Group: "proxy"}) || len(p.Access.Deny) != 1 {
		t.Errorf("%+v", p)
	}
	p = must(ProxyUpdate{Mirror: NoMirror, Unblock: p.Access.Deny}.Apply(p))
	if p.Mirror != (Mirror{}) || len(p.Access.Deny) != 0 {
		t.Errorf("%+v", p)
	}
	s, err := ReadServer(file(t, "server.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	site := must(s.Apply(Config{}))
	if site.Routes[0] != (Route{Path: "/", Site: "site"}) || site.Sites[0].Root != "/var/www/html" || len(site.Sites[0].Locations) != 1 {
		t.Errorf("%+v", site)
	}
}

func TestCopyFiles(t *testing.T) {
	root := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "one"), "1")
	write(secret, "secret")
	if err := os.Symlink(secret, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	slash := filepath.ToSlash(root)
	n, err := CopyFiles(root, []FileCopy{{"one", "a/b/two"}, {slash + "/one", strings.TrimPrefix(slash, "/") + "/three"}})
	if err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	for _, name := range []string{"a/b/two", "three"} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != "1" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, f := range []FileCopy{{"link", "x"}, {"../secret", "x"}, {"none", "x"}, {"one", "../x"}, {"a", "x"}} {
		if _, err := CopyFiles(root, []FileCopy{f}); err == nil {
			t.Errorf("%v was copied", f)
		}
	}
}

func FuzzParseTry(f *testing.F) {
	for _, text := range []string{"try_files $uri @default2", "try_files $uri $uri/ /a/b =404;", "try_files /x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		try, err := ParseTry(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v does not match ErrInvalid", err)
			}
			return
		}
		again, err := ParseTry(try.String())
		if err != nil || !reflect.DeepEqual(again, try) {
			t.Fatalf("%q is read as %+v, and that as %+v, %v", text, try, again, err)
		}
	})
}
