package proxy

import (
	"net"
	"path"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
)

// target is where a route leads: one of both.
type target struct {
	group *group
	site  *site
}

// router finds routes.
type router struct {
	names  map[string]bool // hosts that are answered; empty: all
	hosts  map[string]*paths
	others *paths // of routes without a host
}

// paths are the routes of one host.
type paths struct {
	exact  map[string]*target
	prefix map[string]*target // without a slash at the end
}

func newPaths() *paths { return &paths{exact: map[string]*target{}, prefix: map[string]*target{}} }

func newRouter(names []string, routes []loadbalancer.Route, to func(loadbalancer.Route) *target) *router {
	r := &router{names: map[string]bool{}, hosts: map[string]*paths{}, others: newPaths()}
	for _, n := range names {
		r.names[strings.ToLower(n)] = true
	}
	for _, route := range routes {
		at := r.others
		if route.Host != "" {
			host := strings.ToLower(route.Host)
			if at = r.hosts[host]; at == nil {
				at = newPaths()
				r.hosts[host] = at
			}
		}
		if route.Exact {
			at.exact[route.Path] = to(route)
		} else {
			at.prefix[strings.TrimSuffix(route.Path, "/")] = to(route)
		}
	}
	return r
}

// byHost reports whether hosts matter.
func (r *router) byHost() bool { return len(r.names) > 0 || len(r.hosts) > 0 }

// find returns the target for a host and a decoded path, or nil.
func (r *router) find(host, urlPath string) *target {
	if r.byHost() {
		host = hostName(host)
		if len(r.names) > 0 && !named(host, func(name string) bool { return r.names[name] }) {
			return nil
		}
	}
	p := cleanPath(urlPath)
	var t *target
	if len(r.hosts) > 0 {
		named(host, func(name string) bool {
			if at := r.hosts[name]; at != nil {
				t = at.find(p)
			}
			return t != nil
		})
	}
	if t == nil {
		t = r.others.find(p)
	}
	return t
}

func (p *paths) find(urlPath string) *target {
	if len(p.exact) > 0 {
		if t := p.exact[urlPath]; t != nil {
			return t
		}
	}
	for at := strings.TrimSuffix(urlPath, "/"); ; {
		if t := p.prefix[at]; t != nil || at == "" {
			return t
		}
		at = at[:max(strings.LastIndexByte(at, '/'), 0)]
	}
}

// named asks for a host's name and then for each "*." that it is below, from
// the longest, until one is taken.
func named(host string, take func(name string) bool) bool {
	if take(host) {
		return true
	}
	for rest := host; ; {
		_, below, ok := strings.Cut(rest, ".")
		if !ok {
			return false
		}
		if take("*." + below) {
			return true
		}
		rest = below
	}
}

// hostName takes the port off and makes letters small.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// cleanPath resolves "." and ".." and empty segments, so that no detour leads
// around a route.
func cleanPath(p string) string {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	if !strings.Contains(p, "/.") && !strings.Contains(p, "//") {
		return p
	}
	clean := path.Clean(p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean
}
