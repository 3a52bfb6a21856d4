package drivertest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
)

// testEmpty: without routes everything is 404.
func testEmpty(k *kit) {
	c := k.config()
	res := k.apply(c)
	if !res.Changed || res.Took <= 0 {
		k.Errorf("the first change: %+v", res)
	}
	k.between("status", k.status(call{path: "/"}), 404, 404)
	c.Groups = []loadbalancer.Group{{Name: "none"}}
	c.Routes = []loadbalancer.Route{{Path: "/", Group: "none"}}
	k.apply(c)
	k.between("status of a group without servers", k.status(call{path: "/"}), 502, 503)
	if res := k.apply(c); res.Changed {
		k.Error("the same configuration again is a change")
	}
}

// testRefuses: after an error all is as it was.
func testRefuses(k *kit) {
	list := origins(k.T, 2)
	k.apply(k.config(group("web", list[:1])))
	for what, spoil := range map[string]func(*loadbalancer.Config){
		"no such group":  func(c *loadbalancer.Config) { c.Routes[0].Group = "none" },
		"injection":      func(c *loadbalancer.Config) { c.Groups[0].Servers[0].Address = "a:1; } http {" },
		"path traversal": func(c *loadbalancer.Config) { c.Routes[0].Path = "/a/../b" },
		"address taken twice": func(c *loadbalancer.Config) {
			c.Groups[0].Servers = append(c.Groups[0].Servers, c.Groups[0].Servers[0])
		},
	} {
		c := k.config(group("web", list[1:]))
		spoil(&c)
		if _, err := k.Driver.Apply(k.Context(), c); !errors.Is(err, loadbalancer.ErrInvalid) {
			k.Errorf("%s: %v, want ErrInvalid", what, err)
		}
		if got := k.origin(call{path: "/"}); got != "a" {
			k.Errorf("%s: %s answers, want a as before", what, got)
		}
	}
	// An address that something else listens on.
	c := k.config(group("web", list[1:]))
	c.Listeners = append(c.Listeners, loadbalancer.Listener{Address: list[0].addr})
	if _, err := k.Driver.Apply(k.Context(), c); !errors.Is(err, loadbalancer.ErrRejected) {
		k.Errorf("a listener on an address that is taken: %v, want ErrRejected", err)
	}
	if got := k.origin(call{path: "/"}); got != "a" {
		k.Errorf("after a listener that cannot be opened: %s answers, want a as before", got)
	}
}

func testRoutes(k *kit) {
	list := origins(k.T, 5)
	c := k.config()
	for _, o := range list {
		c.Groups = append(c.Groups, group(o.name, []*origin{o}))
	}
	c.Routes = []loadbalancer.Route{
		{Path: "/", Group: "a"}, {Path: "/shop", Group: "b"}, {Path: "/shop/cart/", Group: "c"},
		{Path: "/shop/exact", Exact: true, Group: "d"}, {Path: "/", Exact: true, Group: "e"},
	}
	k.apply(c)
	for path, want := range map[string]string{
		"/": "e", "/?q=/shop": "e", "/x": "a", "/shop": "b", "/shop/": "b", "/shop/1": "b", "/shopping": "a",
		"/shop/cart": "c", "/shop/cart/": "c", "/shop/cart/x/y?z=1": "c", "/shop/cartoon": "b",
		"/shop/exact": "d", "/shop/exact/x": "b", "/shop/exact?x": "d", "/x/../shop/1": "b", "/%73hop": "b",
		"/shop/cart/../../x": "a", "/x//shop": "a",
	} {
		r := k.get(call{path: path})
		if r.origin != want {
			k.Errorf("%s went to %q (status %d), want %s", path, r.origin, r.status, want)
		}
		if strings.Contains(path, "..") || strings.Contains(path, "//") || strings.Contains(path, "%") {
			continue // drivers may pass on either form
		}
		if uri := strings.Fields(r.body); len(uri) == 3 && uri[2] != path {
			k.Errorf("%s came as %s", path, uri[2])
		}
	}
	c.Routes = c.Routes[1:2]
	k.apply(c)
	for path, want := range map[string]int{"/": 404, "/shop": 200, "/shopping": 404, "/shop/../secret": 404} {
		k.between("status of "+path, k.status(call{path: path}), want, want)
	}
}

func testHosts(k *kit) {
	list := origins(k.T, 4)
	c := k.config()
	for _, o := range list {
		c.Groups = append(c.Groups, group(o.name, []*origin{o}))
	}
	c.Routes = []loadbalancer.Route{
		{Path: "/", Group: "a"}, {Host: "one.example", Path: "/", Group: "b"}, {Host: "*.example", Path: "/", Group: "c"},
		{Host: "one.example", Path: "/deep", Group: "d"},
	}
	k.apply(c)
	for _, test := range []struct{ host, path, want string }{
		{"other", "/", "a"}, {"one.example", "/", "b"}, {"ONE.example:9180", "/", "b"}, {"two.example", "/", "c"},
		{"a.b.example", "/", "c"}, {"example", "/", "a"}, {"one.example", "/deep/1", "d"}, {"two.example", "/deep", "c"},
	} {
		if got := k.origin(call{host: test.host, path: test.path}); got != test.want {
			k.Errorf("%s%s went to %s, want %s", test.host, test.path, got, test.want)
		}
	}
	c.ServerNames = []string{"one.example", "*.two.example"}
	k.apply(c)
	for host, want := range map[string]int{"one.example": 200, "x.two.example": 200, "two.example": 404, "other": 404} {
		k.between("status for "+host, k.status(call{host: host, path: "/"}), want, want)
	}
}

// testHostHeader: servers see what the client sent, and who it is.
func testHostHeader(k *kit) {
	list := origins(k.T, 1)
	k.apply(k.config(group("web", list)))
	k.origin(call{host: "shop.example:1234", path: "/", header: http.Header{
		"X-Forwarded-For": {"192.0.2.7"}, "X-Own": {"1", "2"}, "User-Agent": {"agent/1"},
	}})
	r := list[0].lastRequest()
	if r.Host != "shop.example:1234" {
		k.Errorf("the server sees host %q", r.Host)
	}
	got := strings.ReplaceAll(strings.Join(r.Header.Values("X-Forwarded-For"), ","), " ", "")
	if got != "192.0.2.7,127.0.0.1" {
		k.Errorf("the server sees X-Forwarded-For %q", got)
	}
	if got := strings.Join(r.Header.Values("X-Own"), ","); got != "1,2" || r.UserAgent() != "agent/1" {
		k.Errorf("the server sees X-Own %q, User-Agent %q", got, r.UserAgent())
	}
	for _, c := range []call{{method: "HEAD", path: "/"}, {method: "DELETE", path: "/"}, {method: "OPTIONS", path: "/x"}} {
		k.between("status of "+c.method, k.status(c), 200, 200)
		if got := list[0].lastRequest().Method; got != c.method {
			k.Errorf("%s came as %s", c.method, got)
		}
	}
}

func testHostOfServer(k *kit) {
	list := origins(k.T, 1)
	g := group("web", list)
	g.Host = loadbalancer.HostOfServer
	k.apply(k.config(g))
	k.origin(call{host: "shop.example", path: "/"})
	if got := list[0].lastRequest().Host; got != list[0].addr {
		k.Errorf("the server sees host %q, want %s", got, list[0].addr)
	}
}

// testListeners: listeners come and go.
func testListeners(k *kit) {
	list := origins(k.T, 1)
	c := k.config(group("web", list))
	first := c.Listeners[:1]
	extra := loadbalancer.Listener{Address: k.H2CAddr}
	c.Listeners = []loadbalancer.Listener{first[0], extra}
	k.apply(c)
	conn, err := dial(k.Context(), extra.Address)
	if err != nil {
		k.Fatal(err)
	}
	if r, err := conn.do(call{path: "/"}, "close"); err != nil || r.status != http.StatusOK {
		k.Errorf("the second listener: %d, %v", r.status, err)
	}
	conn.close()
	c.Listeners = first
	k.apply(c)
	if conn, err := dial(k.Context(), extra.Address); err == nil {
		_, err = conn.do(call{path: "/"}, "close")
		conn.close()
		if err == nil {
			k.Error("a listener that is gone still answers")
		}
	}
	k.origin(call{path: "/"})
}

// testConcurrent: changes from several places are made one after another.
func testConcurrent(k *kit) {
	list := origins(k.T, 3)
	errs := make(chan error, len(list))
	for _, o := range list {
		go func() {
			for range 5 {
				if _, err := k.Driver.Apply(k.Context(), k.config(group("web", []*origin{o}))); err != nil {
					errs <- fmt.Errorf("%s: %w", o.name, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range list {
		if err := <-errs; err != nil {
			k.Error(err)
		}
	}
	if count := k.tally(9, plain); len(count) != 1 {
		k.Errorf("%v; want one server", count)
	}
	k.apply(k.config(group("web", list[:1])))
	k.tally(9, plain)
}
