package drivertest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

// testMirror: the mirror gets a copy of each request, and nothing of what it
// answers reaches a client.
func testMirror(k *kit) {
	list := origins(k.T, 2)
	c := k.config(group("web", list[:1]))
	c.Mirror = loadbalancer.Mirror{Address: list[1].addr, Timeout: patience}
	k.apply(c)
	for i := range 10 {
		r := k.get(call{method: http.MethodPost, path: fmt.Sprintf("/mirrored?i=%d", i), body: "body", header: http.Header{"User-Agent": {"scanner"}}})
		if r.status != http.StatusOK || r.origin != "a" {
			k.Errorf("status %d of %q, want 200 of a", r.status, r.origin)
		}
	}
	got := 0
	testutil.Eventually(k, 10*time.Second, func() (bool, string) {
		got += list[1].taken()
		return got == 10, fmt.Sprintf("%d copies of 10 came", got)
	})
	if r := list[1].lastRequest(); r.Method != http.MethodPost || r.URL.Path != "/mirrored" || r.UserAgent() != "scanner" {
		k.Errorf("a copy came as %s %s of %q", r.Method, r.URL, r.UserAgent())
	}
	c.Mirror = loadbalancer.Mirror{}
	k.apply(c)
	k.origin(call{path: "/"})
	k.between("copies without a mirror", list[1].taken(), 0, 0)
}

// testDeadMirror: a mirror that is dead, or takes connections and never
// answers, costs the requests nothing.
func testDeadMirror(k *kit) {
	list := origins(k.T, 1)
	c := k.config(group("web", list))
	silent := rawServer(k.T, func(conn net.Conn) {
		readHead(conn)
		<-k.Context().Done()
	})
	for what, address := range map[string]string{"dead": "127.0.0.1:1", "silent": silent} {
		// A request that waited for the mirror would take longer than the
		// client has patience.
		c.Mirror = loadbalancer.Mirror{Address: address, Timeout: 5 * patience}
		k.apply(c)
		for range 100 {
			if r := k.get(call{method: http.MethodPost, path: "/", body: "body"}); r.status != http.StatusOK {
				k.Errorf("%s mirror: status %d", what, r.status)
			}
		}
	}
}

func testAccess(k *kit) {
	c := k.config(group("web", origins(k.T, 1)))
	for _, test := range []struct {
		what   string
		access loadbalancer.Access
		want   int
	}{
		{"allow and deny are empty", loadbalancer.Access{}, 200},
		{"denied", loadbalancer.Access{Deny: prefixes("127.0.0.0/8")}, 403},
		{"another denied", loadbalancer.Access{Deny: prefixes("192.0.2.0/24", "2001:db8::/32", "127.0.0.2/32")}, 200},
		{"allowed", loadbalancer.Access{Allow: prefixes("127.0.0.1/32")}, 200},
		{"another allowed", loadbalancer.Access{Allow: prefixes("192.0.2.0/24")}, 403},
		{"allowed and denied", loadbalancer.Access{Allow: prefixes("127.0.0.0/8"), Deny: prefixes("127.0.0.1/32")}, 403},
	} {
		c.Access = test.access
		k.apply(c)
		k.between(test.what+": status", k.status(call{path: "/"}), test.want, test.want)
	}
	// Without trusted proxies nobody's word counts.
	c.Access = loadbalancer.Access{Deny: prefixes("192.0.2.0/24")}
	k.apply(c)
	k.between("status with a forged X-Forwarded-For", k.status(from("192.0.2.1")), 200, 200)
}

func from(forwarded string) call {
	return call{path: "/", header: http.Header{"X-Forwarded-For": {forwarded}}}
}

func testTrustedHops(k *kit) {
	c := k.config(group("web", origins(k.T, 1)))
	c.Access = loadbalancer.Access{Deny: prefixes("192.0.2.0/24"), TrustedHops: 1}
	k.apply(c)
	for forwarded, want := range map[string]int{
		"192.0.2.1": 403, "198.51.100.1": 200, "192.0.2.1, 198.51.100.1": 200, "198.51.100.1, 192.0.2.1": 403,
	} {
		k.between("status from "+forwarded, k.status(from(forwarded)), want, want)
	}
}

func testTrustedProxies(k *kit) {
	c := k.config(group("web", origins(k.T, 1)))
	c.Access = loadbalancer.Access{Deny: prefixes("192.0.2.0/24"), TrustedProxies: prefixes("127.0.0.0/8", "198.51.100.0/24")}
	k.apply(c)
	for forwarded, want := range map[string]int{
		"192.0.2.1": 403, "203.0.113.1": 200, "192.0.2.1, 203.0.113.1": 200, "203.0.113.1, 192.0.2.1": 403,
		"192.0.2.1, 198.51.100.1": 403, "203.0.113.1, 198.51.100.1": 200,
	} {
		k.between("status from "+forwarded, k.status(from(forwarded)), want, want)
	}
	// A peer that is no trusted proxy is the client itself.
	c.Access.TrustedProxies = prefixes("198.51.100.0/24")
	k.apply(c)
	k.between("status with the word of a peer that is not trusted", k.status(from("192.0.2.1")), 200, 200)
}

// siteRoot is a folder that every user may read, as a server may run as
// another one.
func (k *kit) siteRoot(files map[string]string) string {
	k.Helper()
	root, err := os.MkdirTemp("", "site")
	if err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			k.Error(err)
		}
	})
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			k.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			k.Fatal(err)
		}
	}
	if err := os.Chmod(root, 0o777); err != nil {
		k.Fatal(err)
	}
	return root
}

func (k *kit) site(site loadbalancer.Site) loadbalancer.Config {
	c := k.config()
	c.Sites = []loadbalancer.Site{site}
	c.Routes = []loadbalancer.Route{{Path: "/", Site: site.Name}}
	return c
}

func testSite(k *kit) {
	root := k.siteRoot(map[string]string{
		"index.html": "index", "f.txt": "file", "d/index.html": "d index", "clover/testurl/f1": "one", "other/f2": "two",
		"fallback.txt": "fallback",
	})
	parse := func(text string) loadbalancer.Try {
		t, err := loadbalancer.ParseTry(text)
		if err != nil {
			k.Fatal(err)
		}
		return t
	}
	k.apply(k.site(loadbalancer.Site{Name: "site", Root: root, Locations: []loadbalancer.Location{
		{Match: "/clover/testurl", Folder: "/clover/testurl", Try: parse("try_files $uri @default2")},
		{Match: "/moved", Folder: "/other", Try: parse("try_files $uri =404")},
		{Match: "/gone", Try: parse("try_files $uri =410")},
		{Match: "/back", Try: parse("try_files $uri /fallback.txt")},
		{Match: "/folder", Folder: "/d", Try: parse("try_files $uri $uri/ =404")},
	}}))
	for _, test := range []struct {
		path, body string
		status     int
	}{
		{"/", "index", 200}, {"/f.txt", "file", 200}, {"/d/", "d index", 200}, {"/none", "", 404},
		{"/clover/testurl/f1", "one", 200}, {"/clover/testurl/none", "index", 200}, {"/moved/f2", "two", 200},
		{"/moved/f1", "", 404}, {"/gone/x", "", 410}, {"/back/x", "fallback", 200}, {"/folder/", "d index", 200},
		{"/../../../../etc/passwd", "", 404}, {"/%2e%2e/%2e%2e/etc/passwd", "", 404}, {"/moved/../../etc/passwd", "", 404},
	} {
		r := k.get(call{path: test.path})
		ok := r.status == test.status || test.status == 404 && r.status == 400
		if !ok || test.body != "" && r.body != test.body || strings.Contains(r.body, "root:") {
			k.Errorf("%s: %d %q, want %d %q", test.path, r.status, r.body, test.status, test.body)
		}
	}
	k.between("status of a PUT", k.status(call{method: http.MethodPut, path: "/f.txt", body: "x"}), 405, 405)
}

func testUpload(k *kit) {
	root := k.siteRoot(map[string]string{"index.html": "index"})
	k.apply(k.site(loadbalancer.Site{
		Name: "site", Root: root, UploadPath: "/upload", UploadForm: "/upload_test", MaxUploadBytes: 1000,
	}))
	r := k.get(call{method: http.MethodPost, path: "/upload", body: "uploaded", header: http.Header{"Content-Type": {"text/plain"}}})
	if r.status != http.StatusCreated || r.header.Get("Location") != "/upload/0000000001" {
		k.Fatalf("upload: %d, at %q", r.status, r.header.Get("Location"))
	}
	if got := k.get(call{path: "/upload/0000000001"}); got.body != "uploaded" {
		k.Errorf("what was uploaded is %d %q", got.status, got.body)
	}
	k.between("status of a large one", k.status(call{method: http.MethodPost, path: "/upload", body: strings.Repeat("x", 2000)}), 413, 413)
	if form := k.get(call{path: "/upload_test"}); form.status != http.StatusOK || !strings.Contains(form.body, `action="/upload"`) {
		k.Errorf("the form is %d %q", form.status, form.body)
	}
}
