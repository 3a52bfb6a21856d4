package loadbalancer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Bounds of what one configuration may hold.
const (
	MaxListeners = 64
	MaxNames     = 256
	MaxGroups    = 256
	MaxServers   = 1024 // of one group
	MaxRoutes    = 1024
	MaxSites     = 64
	MaxLocations = 256 // of one site
	MaxPrefixes  = 20000
	MaxWeight    = 1000
	MaxTimeout   = time.Hour // of each duration
)

// maxFaults is how many faults are reported at once.
const maxFaults = 10

// Validate checks the whole configuration. Each fault is a *FieldError; several
// are joined, and all match ErrInvalid. Whoever writes a configuration file
// may rely on it: each string holds only what its grammar allows, which
// leaves out quotes, spaces, control characters, "$", ";" and braces
// everywhere but in the words of Try.
func (c Config) Validate() error {
	v := &validator{}
	if c.Name != "" {
		v.check("name", checkHost(c.Name))
	}
	v.bound("listeners", len(c.Listeners), MaxListeners)
	v.bound("server_names", len(c.ServerNames), MaxNames)
	v.bound("groups", len(c.Groups), MaxGroups)
	v.bound("sites", len(c.Sites), MaxSites)
	v.bound("routes", len(c.Routes), MaxRoutes)
	v.listeners(c.Listeners)
	for i, name := range c.ServerNames {
		v.check(index("server_names", i), checkNamePattern(name))
	}
	groups, sites := map[string]bool{}, map[string]bool{}
	for i, g := range c.Groups {
		v.unique(index("groups", i)+".name", g.Name, groups)
		v.group(index("groups", i), g)
	}
	for i, s := range c.Sites {
		v.unique(index("sites", i)+".name", s.Name, sites)
		v.site(index("sites", i), s)
	}
	v.routes(c.Routes, groups, sites)
	v.mirror(c.Mirror)
	v.access(c.Access)
	return v.err()
}

// validator collects faults.
type validator struct{ faults []error }

func (v *validator) err() error {
	if more := len(v.faults) - maxFaults; more > 0 {
		v.faults = append(v.faults[:maxFaults], &FieldError{Msg: fmt.Sprintf("%d more faults", more)})
	}
	return errors.Join(v.faults...)
}

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

func (v *validator) faultf(field, format string, args ...any) {
	v.faults = append(v.faults, &FieldError{Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (v *validator) check(field string, err error) {
	if err != nil {
		v.faultf(field, "%s", err)
	}
}

func (v *validator) bound(field string, n, limit int) {
	if n < 0 || n > limit {
		v.faultf(field, "%d; want 0 to %d", n, limit)
	}
}

func (v *validator) duration(field string, d time.Duration) {
	if d < 0 || d > MaxTimeout {
		v.faultf(field, "%s; want 0 to %s", d, MaxTimeout)
	}
}

func (v *validator) unique(field, name string, seen map[string]bool) {
	v.check(field, checkName(name))
	if seen[name] {
		v.faultf(field, "%q is there twice", name)
	}
	seen[name] = true
}

func (v *validator) listeners(list []Listener) {
	seen := map[string]bool{}
	for i, l := range list {
		field := index("listeners", i)
		v.check(field+".address", checkListen(l.Address))
		if seen[l.Address] && l.Address != "" {
			v.faultf(field+".address", "%q is there twice", l.Address)
		}
		seen[l.Address] = true
		if (l.CertFile == "") != (l.KeyFile == "") {
			v.faultf(field, "cert_file and key_file come together")
		}
		if l.CertFile != "" {
			v.check(field+".cert_file", checkAbsolute(l.CertFile))
			v.check(field+".key_file", checkAbsolute(l.KeyFile))
		}
		if l.CertFile != "" && l.H2C {
			v.faultf(field+".h2c", "with TLS, HTTP/2 is on without it")
		}
	}
}

func (v *validator) group(field string, g Group) {
	if !methods.valid(g.Method) {
		v.faultf(field+".method", "%q; want %s", string(g.Method), methods.names())
	}
	if !protocols.valid(g.Protocol) {
		v.faultf(field+".protocol", "%q; want %s", string(g.Protocol), protocols.names())
	}
	if !hostHeaders.valid(g.Host) {
		v.faultf(field+".host", "%q; want %s", string(g.Host), hostHeaders.names())
	}
	v.hash(field+".hash", g)
	v.bound(field+".servers", len(g.Servers), MaxServers)
	seen := map[string]bool{}
	for i, s := range g.Servers {
		at := index(field+".servers", i)
		if seen[s.Address] {
			v.faultf(at+".address", "%q is there twice", s.Address)
		}
		seen[s.Address] = true
		v.server(at, s)
	}
	v.health(field+".health", g.Health)
	if g.Failures.Max < -1 || g.Failures.Max > 1000 {
		v.faultf(field+".failures.max", "%d; want -1 to 1000", g.Failures.Max)
	}
	v.duration(field+".failures.window", g.Failures.Window)
	v.bound(field+".queue.length", g.Queue.Length, 100_000)
	v.duration(field+".queue.timeout", g.Queue.Timeout)
	v.duration(field+".connect_timeout", g.ConnectTimeout)
	v.duration(field+".response_timeout", g.ResponseTimeout)
	v.bound(field+".tries", g.Tries, 100)
}

func (v *validator) hash(field string, g Group) {
	named := g.Hash.Source == HashHeader || g.Hash.Source == HashCookie
	switch {
	case g.Method != Hash && g.Hash != HashKey{}:
		v.faultf(field, "only for method hash, not for %s", g.Method)
	case !hashSources.valid(g.Hash.Source):
		v.faultf(field+".source", "%q; want %s", string(g.Hash.Source), hashSources.names())
	case named:
		v.check(field+".name", checkToken(g.Hash.Name))
	case g.Hash.Name != "":
		v.faultf(field+".name", "only for sources header and cookie, not for %s", g.Hash.Source)
	}
}

func (v *validator) server(field string, s Server) {
	v.check(field+".address", checkAddress(s.Address))
	v.bound(field+".weight", s.Weight, MaxWeight)
	if !states.valid(s.State) {
		v.faultf(field+".state", "%q; want %s", string(s.State), states.names())
	}
	v.bound(field+".max_connections", s.MaxConnections, 1_000_000)
	v.duration(field+".slow_start", s.SlowStart)
}

func (v *validator) health(field string, h HealthCheck) {
	if h.Path == "" {
		if h != (HealthCheck{}) {
			v.faultf(field+".path", "missing; it switches health checks on")
		}
		return
	}
	v.check(field+".path", checkPath(h.Path))
	v.duration(field+".interval", h.Interval)
	v.duration(field+".timeout", h.Timeout)
	v.bound(field+".fall", h.Fall, 1000)
	v.bound(field+".rise", h.Rise, 1000)
	if h.Status != 0 && (h.Status < 200 || h.Status > 599) {
		v.faultf(field+".status", "%d; want 200 to 599", h.Status)
	}
}

func (v *validator) routes(routes []Route, groups, sites map[string]bool) {
	type key struct {
		host, path string
		exact      bool
	}
	seen := map[key]bool{}
	for i, r := range routes {
		field := index("routes", i)
		if r.Host != "" {
			v.check(field+".host", checkNamePattern(r.Host))
		}
		if r.Path != "" {
			v.check(field+".path", checkPath(r.Path))
		}
		switch {
		case (r.Group == "") == (r.Site == ""):
			v.faultf(field, "goes to a group or a site; want one of both")
		case r.Group != "" && !groups[r.Group]:
			v.faultf(field+".group", "%q is not among the groups", clip(r.Group))
		case r.Site != "" && !sites[r.Site]:
			v.faultf(field+".site", "%q is not among the sites", clip(r.Site))
		}
		k := key{r.Host, routePath(r.Path, r.Exact), r.Exact}
		if seen[k] {
			v.faultf(field, "the same host and path are routed before")
		}
		seen[k] = true
	}
}

// routePath is a route's path as it is compared: for a prefix, "/a/" is "/a".
func routePath(path string, exact bool) string {
	if exact {
		return path
	}
	return trimSlash(path)
}

func (v *validator) mirror(m Mirror) {
	if m.Address == "" {
		if m != (Mirror{}) {
			v.faultf("mirror.address", "missing; it switches the mirror on")
		}
		return
	}
	v.check("mirror.address", checkAddress(m.Address))
	v.duration("mirror.timeout", m.Timeout)
	if m.MaxBodyBytes < 0 || m.MaxBodyBytes > 64<<20 {
		v.faultf("mirror.max_body_bytes", "%d; want 0 to %d", m.MaxBodyBytes, 64<<20)
	}
}

func (v *validator) access(a Access) {
	for _, list := range []struct {
		field string
		of    []netip.Prefix
	}{{"access.allow", a.Allow}, {"access.deny", a.Deny}, {"access.trusted_proxies", a.TrustedProxies}} {
		v.bound(list.field, len(list.of), MaxPrefixes)
		for i, p := range list.of {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
				v.faultf(index(list.field, i), "%s; want a network such as 192.0.2.0/24 without bits of a host", p)
			}
		}
	}
	v.bound("access.trusted_hops", a.TrustedHops, 100)
	if a.TrustedHops > 0 && len(a.TrustedProxies) > 0 {
		v.faultf("access.trusted_hops", "not beside trusted_proxies")
	}
}

func (v *validator) site(field string, s Site) {
	v.check(field+".root", checkAbsolute(s.Root))
	if s.Index != "" {
		v.check(field+".index", checkFileName(s.Index))
	}
	if s.UploadPath != "" {
		v.check(field+".upload_path", checkPath(s.UploadPath))
	}
	if s.UploadForm != "" {
		v.check(field+".upload_form", checkPath(s.UploadForm))
		if s.UploadPath == "" {
			v.faultf(field+".upload_form", "needs upload_path, where it sends to")
		}
		if s.UploadForm == s.UploadPath {
			v.faultf(field+".upload_form", "is upload_path too; want another path")
		}
	}
	if s.MaxUploadBytes < 0 || s.MaxUploadBytes > 1<<40 {
		v.faultf(field+".max_upload_bytes", "%d; want 0 to %d", s.MaxUploadBytes, int64(1<<40))
	}
	v.bound(field+".locations", len(s.Locations), MaxLocations)
	seen := map[string]bool{}
	for i, l := range s.Locations {
		at := index(field+".locations", i)
		v.check(at+".match", checkPath(l.Match))
		if seen[trimSlash(l.Match)] {
			v.faultf(at+".match", "%q is there twice", clip(l.Match))
		}
		seen[trimSlash(l.Match)] = true
		if l.Folder != "" {
			v.check(at+".folder", checkPath(l.Folder))
		}
		v.check(at+".try", l.Try.validate())
	}
}

// checkListen checks the address of a listener.
func checkListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q; want HOST:PORT or :PORT, e.g. :9180", clip(address))
	}
	if host != "" {
		if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
			return fmt.Errorf("%q; the host of a listener is an IP address or empty", clip(address))
		}
	}
	return checkPort(port)
}
