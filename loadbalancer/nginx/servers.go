package nginx

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/internal/hosts"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// servers are the virtual hosts of a listener: one for each host name that
// routes or the list of names have, and one for all others.
func (p plan) servers(l loadbalancer.Listener, c loadbalancer.Config) []conf.Directive {
	names := map[string]bool{"": true}
	for _, name := range c.ServerNames {
		names[strings.ToLower(name)] = true
	}
	for _, r := range c.Routes {
		names[strings.ToLower(r.Host)] = true
	}
	var list []conf.Directive
	for _, host := range slices.Sorted(maps.Keys(names)) {
		list = append(list, p.server(l, c, host))
	}
	return list
}

// server is one virtual host.
func (p plan) server(l loadbalancer.Listener, c loadbalancer.Config, host string) conf.Directive {
	var list []conf.Directive
	for _, args := range p.listen(l) {
		if host == "" {
			args = append(args, "default_server")
		}
		list = append(list, d("listen", args...))
	}
	if host == "" {
		list = append(list, d("server_name", ""))
	} else {
		list = append(list, d("server_name", host))
	}
	if l.CertFile != "" {
		list = append(list, d("ssl_certificate", l.CertFile), d("ssl_certificate_key", l.KeyFile),
			d("ssl_protocols", "TLSv1.2", "TLSv1.3"))
	}
	if p.program.version.atLeast(hasHTTP2On) && (l.CertFile != "" || l.H2C) {
		list = append(list, d("http2", "on"))
	}
	list = append(list, refuse(c.Access)...)
	s := &virtualHost{plan: p, config: c}
	if hosts.Answered(host, c.ServerNames) {
		s.routes(routesOf(host, c.Routes))
	}
	if !s.catchAll {
		s.location(words("/"), d("return", "404"))
	}
	list = append(list, s.shared()...)
	return b("server", nil, append(list, s.locations...)...)
}

// routesOf returns the routes that matter for a host. Those of a more
// specific pattern come first and hide those of others.
func routesOf(host string, routes []loadbalancer.Route) []loadbalancer.Route {
	list := hosts.Routes(host, routes, func(a, b loadbalancer.Route) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	var kept []loadbalancer.Route
	for _, r := range list {
		if !slices.ContainsFunc(kept, func(k loadbalancer.Route) bool { return k.Host != r.Host && hides(k, r) }) {
			kept = append(kept, r)
		}
	}
	return kept
}

// hides reports whether every request for r is one for k.
func hides(k, r loadbalancer.Route) bool {
	if k.Exact {
		return r.Exact && r.Path == k.Path
	}
	return within(r.Path, k.Path)
}

// within reports whether path is prefix or below it, by whole segments.
func within(path, prefix string) bool {
	path, prefix = strings.TrimSuffix(path, "/"), strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// virtualHost collects the locations of one virtual host.
type virtualHost struct {
	plan      plan
	config    loadbalancer.Config
	locations []conf.Directive
	named     int  // locations for clients that are to go
	catchAll  bool // a location takes every path

}

// Answers that the locations give themselves. No request has these names: a
// path of a client begins with a slash, and nobody writes a blank into one.
const (
	mirrorPath  = "/clover mirror"
	faultName   = "@clover_fault"
	drainName   = "@clover_drain"
	drainStatus = "597" // any that nothing else uses
)

func (s *virtualHost) routes(routes []loadbalancer.Route) {
	for _, r := range routes {
		if r.Site != "" {
			s.site(r, routes)
			continue
		}
		i := slices.IndexFunc(s.config.Groups, func(g loadbalancer.Group) bool { return g.Name == r.Group })
		s.place(r.Path, r.Exact, routes, pass(s.config.Groups[i], s.config)...)
	}
}

// place adds the locations for a path and, unless exact, for all below it.
func (s *virtualHost) place(path string, exact bool, routes []loadbalancer.Route, body ...conf.Directive) {
	if exact {
		s.location(words("=", path), body...)
		return
	}
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		s.catchAll = true
	} else if !slices.ContainsFunc(routes, func(r loadbalancer.Route) bool { return r.Exact && r.Path == path }) {
		s.location(words("=", path), body...)
	}
	s.location(words("^~", path+"/"), body...)
}

// location adds a location. Where clients have to be drained, it has a second
// form that ends their connections, for as long as the driver's file is there.
func (s *virtualHost) location(match []string, body ...conf.Directive) {
	if !s.plan.drains() {
		s.locations = append(s.locations, b("location", match, body...))
		return
	}
	s.named++
	name := drainName + strconv.Itoa(s.named)
	fault := d("error_page", "502", faultName)
	s.locations = append(s.locations,
		b("location", match, append([]conf.Directive{
			b("if", words("(-f", s.plan.file(drainFile), ")"), d("return", drainStatus)),
			d("error_page", drainStatus, "=", name),
			fault,
		}, body...)...),
		b("location", words(name), append([]conf.Directive{d("keepalive_timeout", "0"), fault}, body...)...),
	)
}

// shared are the locations that every server has. A group none of whose
// servers may be asked is nginx's 502 for the group's own name.
func (s *virtualHost) shared() []conf.Directive {
	list := []conf.Directive{
		d("error_page", "502", faultName),
		b("location", words(faultName),
			d("default_type", "text/plain"),
			b("if", words("($upstream_addr", "~", "^"+upstreamPrefix, ")"), d("return", "503", "no server can be used\n")),
			d("return", "502", "the server failed\n"),
		),
	}
	if m := s.config.Mirror; m.Address != "" {
		list = append(list, mirrorLocation(m))
	}
	return list
}
