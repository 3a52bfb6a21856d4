package nginx

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

func TestRoutes(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path, DrainTime: 100 * time.Millisecond, Workers: 2})
		addr := testutil.FreeAddr(t)
		one := func(name string) loadbalancer.Group {
			return loadbalancer.Group{Name: name, Servers: []loadbalancer.Server{{Address: origin(t, name)}}}
		}
		c := loadbalancer.Config{
			Listeners:   []loadbalancer.Listener{{Address: addr}},
			ServerNames: []string{"a.example", "*.b.example", "127.0.0.1"},
			Groups: []loadbalancer.Group{one("root"), one("api"), one("exact"), one("host"), one("wild"),
				{Name: "none"}, {Name: "down", Servers: []loadbalancer.Server{{Address: "127.0.0.1:1"}}}},
			Routes: []loadbalancer.Route{
				{Group: "root"},
				{Path: "/api/", Group: "api"}, {Path: "/api", Exact: true, Group: "exact"},
				{Path: "/none", Group: "none"}, {Path: "/down", Group: "down"},
				{Host: "a.example", Path: "/api", Group: "host"},
				{Host: "*.b.example", Group: "wild"},
				{Host: "other.example", Group: "wild"},
			},
			Access: loadbalancer.Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustedHops: 1},
		}
		if r := apply(t, dr, c); !r.Changed {
			t.Errorf("result is %+v", r)
		}
		if r := apply(t, dr, c); r.Changed {
			t.Errorf("result of the same again is %+v", r)
		}
		for _, q := range []struct {
			host, path, xff string
			status          int
			begin           string
		}{
			{"", "/", "", 200, "root GET / host="},
			{"", "/x//y%2Fz/../a?q=%20", "", 200, "root GET /x//y%2Fz/../a?q=%20 host="},
			{"", "/api", "", 200, "exact"},
			{"", "/api/x", "", 200, "api"},
			{"", "/apix", "", 200, "root"},
			{"A.example", "/api", "", 200, "host GET /api host=A.example"},
			{"a.example:80", "/x", "", 200, "root GET /x host=a.example:80"},
			{"x.y.b.example", "/api/x", "", 200, "wild"},
			{"b.example", "/", "", 404, ""},
			{"other.example", "/", "", 404, ""},
			{"", "/none", "", 503, ""},
			{"", "/down/x", "", 502, ""},
			{"", "/", "192.0.2.7", 403, ""},
			{"", "/", "192.0.2.7, 198.51.100.9", 200, "root GET / host="},
			{"", "/", "192.0.2.7, what", 403, ""},
		} {
			status, body := ask(t, addr, q.path, q.host, q.xff)
			if status != q.status || len(body) < len(q.begin) || body[:len(q.begin)] != q.begin {
				t.Errorf("%+v: %d %q", q, status, body)
			}
		}
	})
}

func TestSites(t *testing.T) {
	root := filepath.Join(folder(t), "www")
	for name, text := range map[string]string{
		"index.html": "front", "a.css": "style", "docs/index.html": "docs", "docs/x y.txt": "blank",
		"clover/testurl/file1.png": "png", "other/f.txt": "other", "../secret": "secret",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path, DrainTime: 100 * time.Millisecond, Workers: 1})
		addr := testutil.FreeAddr(t)
		apply(t, dr, loadbalancer.Config{
			Listeners: []loadbalancer.Listener{{Address: addr}},
			Groups:    []loadbalancer.Group{{Name: "g", Servers: []loadbalancer.Server{{Address: origin(t, "g")}}}},
			Sites: []loadbalancer.Site{{Name: "s", Root: root, Locations: []loadbalancer.Location{
				{Match: "/clover/testurl", Try: loadbalancer.Try{Files: []string{"$uri"}, Named: "default2"}},
				{Match: "/moved.(x)", Folder: "/other", Try: loadbalancer.Try{Files: []string{"$uri"}, Status: 410}},
				{Match: "/api/files", Try: loadbalancer.Try{Files: []string{"$uri"}}},
			}}},
			Routes: []loadbalancer.Route{{Site: "s"}, {Path: "/api", Group: "g"}},
		})
		for _, q := range []struct {
			path   string
			status int
			begin  string
		}{
			{"/", 200, "front"}, {"/a.css", 200, "style"}, {"/docs/", 200, "docs"}, {"/docs/x%20y.txt", 200, "blank"},
			{"/nothing", 404, ""}, {"/clover/", 404, ""},
			{"/clover/testurl/file1.png", 200, "png"}, {"/clover/testurl/none.png", 200, "front"},
			{"/moved.(x)/f.txt", 200, "other"}, {"/moved.(x)/none", 410, ""}, {"/movedxx/f.txt", 404, ""},
			{"/api/files/x", 200, "g GET /api/files/x"},
			{"/link", 404, ""}, {"/../secret", 400, ""}, {"/%2e%2e/secret", 400, ""}, {"/docs/..%2f..%2fsecret", 400, ""},
		} {
			status, body := ask(t, addr, q.path, "x", "")
			if status != q.status || len(body) < len(q.begin) || body[:len(q.begin)] != q.begin {
				t.Errorf("%+v: %d %q", q, status, body)
			}
		}
		if status, _ := get(t, "POST", "http://"+addr+"/a.css", nil); status != 405 {
			t.Errorf("POST to a file: %d", status)
		}
	})
}
