package loadbalancer

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// WithDefaults returns the configuration with the documented default in each
// field that is zero and has one, for drivers. It shares nothing with c.
func (c Config) WithDefaults() Config {
	c = c.Clone()
	for i := range c.Groups {
		g := &c.Groups[i]
		g.ConnectTimeout = cmp.Or(g.ConnectTimeout, 2*time.Second)
		g.ResponseTimeout = cmp.Or(g.ResponseTimeout, time.Minute)
		g.Tries = cmp.Or(g.Tries, 3)
		g.Failures.Max = cmp.Or(g.Failures.Max, 1)
		g.Failures.Window = cmp.Or(g.Failures.Window, 5*time.Second)
		if g.Queue.Length > 0 {
			g.Queue.Timeout = cmp.Or(g.Queue.Timeout, time.Second)
		}
		if g.Health.Path != "" {
			g.Health.Interval = cmp.Or(g.Health.Interval, 5*time.Second)
			g.Health.Timeout = cmp.Or(g.Health.Timeout, time.Second)
			g.Health.Fall = cmp.Or(g.Health.Fall, 3)
			g.Health.Rise = cmp.Or(g.Health.Rise, 2)
		}
		for j := range g.Servers {
			g.Servers[j].Weight = cmp.Or(g.Servers[j].Weight, 1)
		}
	}
	for i := range c.Routes {
		c.Routes[i].Path = cmp.Or(c.Routes[i].Path, "/")
	}
	for i := range c.Sites {
		s := &c.Sites[i]
		s.Index = cmp.Or(s.Index, "index.html")
		s.MaxUploadBytes = cmp.Or(s.MaxUploadBytes, 10<<20)
		for j := range s.Locations {
			s.Locations[j].Folder = cmp.Or(s.Locations[j].Folder, s.Locations[j].Match)
		}
	}
	if c.Mirror.Address != "" {
		c.Mirror.MaxBodyBytes = cmp.Or(c.Mirror.MaxBodyBytes, 64<<10)
		c.Mirror.Timeout = cmp.Or(c.Mirror.Timeout, 2*time.Second)
	}
	return c
}

// Clone returns a copy that shares nothing with c.
func (c Config) Clone() Config {
	c.Listeners = slices.Clone(c.Listeners)
	c.ServerNames = slices.Clone(c.ServerNames)
	c.Groups = slices.Clone(c.Groups)
	for i := range c.Groups {
		c.Groups[i].Servers = slices.Clone(c.Groups[i].Servers)
	}
	c.Sites = slices.Clone(c.Sites)
	for i := range c.Sites {
		locations := slices.Clone(c.Sites[i].Locations)
		for j := range locations {
			locations[j].Try.Files = slices.Clone(locations[j].Try.Files)
		}
		c.Sites[i].Locations = locations
	}
	c.Routes = slices.Clone(c.Routes)
	for _, list := range []*[]netip.Prefix{&c.Access.Allow, &c.Access.Deny, &c.Access.TrustedProxies} {
		*list = slices.Clone(*list)
	}
	return c
}
