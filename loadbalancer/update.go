package loadbalancer

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// NoMirror as ProxyUpdate.Mirror ends the copies.
const NoMirror = "-"

// The names of what updates make where there is nothing yet.
const (
	defaultGroup = "cloverlb"
	proxyGroup   = "proxy"
	siteName     = "site"
)

// BalancerUpdate changes the servers of a load balancer, as lbv2.yaml does.
// Empty fields leave things as they are.
type BalancerUpdate struct {
	Port   string // to listen on
	Name   string // what people call it
	Agent  string // where the agent is that the update is for; Apply does not look at it
	Group  string // the group; empty: the only one, or "cloverlb"
	Path   string // what goes to the group
	Method *Method
	Hash   *HashKey
	// Servers replace those of the group.
	Servers        []Server
	HealthPath     string
	HealthInterval time.Duration
}

// Apply returns the configuration after the update. It is valid if c was.
func (u BalancerUpdate) Apply(c Config) (Config, error) {
	c = c.Clone()
	setFront(&c, u.Port, u.Name)
	i, err := groupFor(&c, u.Group)
	if err != nil {
		return Config{}, err
	}
	g := &c.Groups[i]
	if len(u.Servers) > 0 {
		g.Servers = slices.Clone(u.Servers)
	}
	if u.Method != nil {
		g.Method = *u.Method
		if g.Method != Hash {
			g.Hash = HashKey{}
		}
	}
	if u.Hash != nil {
		g.Hash = *u.Hash
	}
	g.Health.Path = cmp.Or(u.HealthPath, g.Health.Path)
	g.Health.Interval = cmp.Or(u.HealthInterval, g.Health.Interval)
	setRoute(&c, Route{Path: u.Path, Group: g.Name})
	return c, c.Validate()
}

// groupFor returns the index of the group that an update is for: the one of
// that name, or the only one, which then gets the name.
func groupFor(c *Config, name string) (int, error) {
	if i := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Name == name }); i >= 0 {
		return i, nil
	}
	switch len(c.Groups) {
	case 0:
		c.Groups = []Group{{Name: cmp.Or(name, defaultGroup)}}
		return 0, nil
	case 1:
		if name != "" {
			for i := range c.Routes {
				if c.Routes[i].Group == c.Groups[0].Name {
					c.Routes[i].Group = name
				}
			}
			c.Groups[0].Name = name
		}
		return 0, nil
	}
	names := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		names[i] = g.Name
	}
	return 0, &FieldError{Field: "lb_group", Msg: fmt.Sprintf("%q; want one of %q", name, names)}
}

// setFront sets where clients come in.
func setFront(c *Config, port, name string) {
	c.Name = cmp.Or(name, c.Name)
	switch {
	case port == "":
	case len(c.Listeners) == 0:
		c.Listeners = []Listener{{Address: ":" + port}}
	default:
		host, _, err := net.SplitHostPort(c.Listeners[0].Address)
		if err != nil {
			host = "" // Validate has refused such a listener
		}
		c.Listeners[0].Address = net.JoinHostPort(host, port)
	}
}

// setRoute routes a path, or everything if nothing leads there yet, to a group
// or site instead of what led there before.
func setRoute(c *Config, r Route) {
	leadsThere := func(o Route) bool { return o.Group == r.Group && o.Site == r.Site }
	if r.Path == "" {
		if slices.ContainsFunc(c.Routes, leadsThere) {
			return
		}
		r.Path = "/"
	}
	c.Routes = slices.DeleteFunc(c.Routes, func(o Route) bool {
		return leadsThere(o) || o.Host == "" && !o.Exact && routePath(o.Path, false) == routePath(r.Path, false)
	})
	c.Routes = append(c.Routes, r)
}

// ServerUpdate changes a server of files, as server.yaml does. Empty fields
// leave things as they are.
type ServerUpdate struct {
	Port, Name string
	Root       string
	Index      string
	UploadPath string // takes uploads
	UploadForm string // the page to upload by hand
	// Locations replace those there are.
	Locations []Location
	// Files are to be copied by CopyFiles; Apply does not.
	Files []FileCopy
}

// Apply returns the configuration after the update. It is valid if c was.
func (u ServerUpdate) Apply(c Config) (Config, error) {
	c = c.Clone()
	setFront(&c, u.Port, u.Name)
	if len(c.Sites) == 0 {
		c.Sites = []Site{{Name: siteName}}
	}
	s := &c.Sites[0]
	s.Root = cmp.Or(u.Root, s.Root)
	s.Index = cmp.Or(u.Index, s.Index)
	s.UploadPath = cmp.Or(u.UploadPath, s.UploadPath)
	s.UploadForm = cmp.Or(u.UploadForm, s.UploadForm)
	if len(u.Locations) > 0 {
		s.Locations = slices.Clone(u.Locations)
	}
	setRoute(&c, Route{Site: s.Name})
	return c, c.Validate()
}

// ProxyUpdate changes a proxy. Empty fields leave things as they are.
type ProxyUpdate struct {
	Port, Name string
	Path       string // what is forwarded
	Upstream   string // HOST:PORT
	Mirror     string // HOST:PORT, or NoMirror
	// Block are networks to keep out, Unblock those to let in again.
	Block, Unblock []netip.Prefix
}

// Apply returns the configuration after the update. It is valid if c was.
func (u ProxyUpdate) Apply(c Config) (Config, error) {
	c = c.Clone()
	setFront(&c, u.Port, u.Name)
	if len(c.Groups) == 0 {
		c.Groups = []Group{{Name: proxyGroup}}
	}
	if u.Upstream != "" {
		c.Groups[0].Servers = []Server{{Address: u.Upstream}}
	}
	setRoute(&c, Route{Path: u.Path, Group: c.Groups[0].Name})
	switch u.Mirror {
	case "":
	case NoMirror:
		c.Mirror = Mirror{}
	default:
		c.Mirror.Address = u.Mirror
	}
	for _, p := range u.Block {
		if !slices.Contains(c.Access.Deny, p) {
			c.Access.Deny = append(c.Access.Deny, p)
		}
	}
	c.Access.Deny = slices.DeleteFunc(c.Access.Deny, func(p netip.Prefix) bool { return slices.Contains(u.Unblock, p) })
	return c, c.Validate()
}
