package loadbalancer

import (
	"net/netip"
	"time"
)

// Config is the whole of what a load balancer does. The zero value is a valid
// load balancer that answers 404 to everything.
//
// A Config is a value: nothing in this module changes one that it was given.
// Copy it by [Config.Clone] before you change what its slices hold.
type Config struct {
	// Name is what people call the load balancer. It has no effect on
	// requests.
	Name string `json:"name,omitempty"`
	// Listeners are where clients come in. Empty: nowhere, for programs that
	// serve the built-in proxy themselves.
	Listeners []Listener `json:"listeners,omitempty"`
	// ServerNames are the host names that are answered, others get 404.
	// "*.example.com" is every name below. Empty: every name.
	ServerNames []string `json:"server_names,omitempty"`
	// Groups hold the servers.
	Groups []Group `json:"groups,omitempty"`
	// Sites are folders of files that the load balancer serves itself.
	Sites []Site `json:"sites,omitempty"`
	// Routes say what goes where. What no route matches gets 404. Their order
	// does not matter: a route for a host comes before one for every host,
	// then an exact path before a prefix, then a longer path before a shorter.
	Routes []Route `json:"routes,omitempty"`
	// Mirror gets a copy of each request that a route sends to a group.
	Mirror Mirror `json:"mirror,omitzero"`
	// Access says who is let in.
	Access Access `json:"access,omitzero"`
}

// Listener is an address that clients connect to.
type Listener struct {
	// Address is HOST:PORT, where HOST is an IP address, in brackets for
	// IPv6, or empty for every address of the machine.
	Address string `json:"address"`
	// CertFile and KeyFile hold the certificate chain and its key in PEM, and
	// switch TLS on, with HTTP/2 for clients that ask for it. Both or none.
	CertFile string `json:"cert_file,omitempty"`
	KeyFile  string `json:"key_file,omitempty"`
	// H2C lets clients speak HTTP/2 without TLS beside HTTP/1.1, with prior
	// knowledge (RFC 9113, section 3.3), as gRPC does.
	H2C bool `json:"h2c,omitempty"`
}

// Group is servers that do the same.
type Group struct {
	// Name is how routes name the group.
	Name string `json:"name"`
	// Method chooses a server. The zero value is RoundRobin.
	Method Method `json:"method,omitempty"`
	// Hash is what Method Hash hashes.
	Hash HashKey `json:"hash,omitzero"`
	// Servers may be empty: then requests get 503.
	Servers []Server `json:"servers,omitempty"`
	// Protocol is what servers speak. The zero value is HTTP1.
	Protocol Protocol `json:"protocol,omitempty"`
	// Host is the Host header that servers see. The zero value is HostOfClient.
	Host HostHeader `json:"host,omitempty"`
	// Health asks servers whether they work.
	Health HealthCheck `json:"health,omitzero"`
	// Failures takes a server out whose connections fail.
	Failures FailureLimit `json:"failures,omitzero"`
	// Queue is where requests wait while every server has MaxConnections.
	Queue Queue `json:"queue,omitzero"`
	// ConnectTimeout bounds a connection to a server. 0: 2 s.
	ConnectTimeout time.Duration `json:"connect_timeout,omitempty"`
	// ResponseTimeout bounds the wait for the head of a response. 0: 60 s.
	ResponseTimeout time.Duration `json:"response_timeout,omitempty"`
	// Tries is how many servers one request may be sent to when the first
	// ones fail. A request goes on to another server only while none can have
	// begun to act on it, or if it is idempotent (RFC 9110, section 9.2.2) and
	// has no body. 0: 3; 1: no second try.
	Tries int `json:"tries,omitempty"`
}

// Server is one server of a group. Its Address is its identity: counts and
// connections live on over changes that keep it.
type Server struct {
	// Address is HOST:PORT.
	Address string `json:"address"`
	// Weight is the server's share beside the others'. 0: 1.
	Weight int `json:"weight,omitempty"`
	// State is what a person wants of the server. The zero value is Up.
	State State `json:"state,omitempty"`
	// MaxConnections bounds the requests under way at once, connections with
	// Upgrade among them. 0: no bound.
	MaxConnections int `json:"max_connections,omitempty"`
	// SlowStart is the time over which the share of a server that is new or
	// works again grows to its weight. 0: it has its share at once.
	SlowStart time.Duration `json:"slow_start,omitempty"`
	// Backup servers are used only while no other server can be.
	Backup bool `json:"backup,omitempty"`
}

// HashKey is what of a request chooses its server.
type HashKey struct {
	// Source is where the key is read.
	Source HashSource `json:"source,omitempty"`
	// Name of the header or cookie; empty for the other sources.
	Name string `json:"name,omitempty"`
}

// HealthCheck asks each server with GET whether it works. One that does not
// gets no requests. The zero value does not ask.
type HealthCheck struct {
	// Path switches checks on, e.g. "/healthz".
	Path string `json:"path,omitempty"`
	// Interval between two checks of one server. 0: 5 s.
	Interval time.Duration `json:"interval,omitempty"`
	// Timeout of one check. 0: 1 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Fall is after how many failed checks in a row a server is out. 0: 3.
	Fall int `json:"fall,omitempty"`
	// Rise is after how many good ones it is back. 0: 2.
	Rise int `json:"rise,omitempty"`
	// Status is the one that says that it works. 0: 200 to 399.
	Status int `json:"status,omitempty"`
}

// FailureLimit takes a server out by what happens to requests: a connection
// that cannot be made or ends before the response's head. Statuses do not
// count.
type FailureLimit struct {
	// Max is how many failures within Window take the server out for Window.
	// 0: 1. -1: none does.
	Max int `json:"max,omitempty"`
	// Window of time. 0: 5 s.
	Window time.Duration `json:"window,omitempty"`
}

// Queue is a place to wait for a server. The zero value lets nobody wait:
// requests beyond get 503 at once.
type Queue struct {
	// Length is how many requests may wait. 0: none.
	Length int `json:"length,omitempty"`
	// Timeout is how long one may wait before it gets 503. 0: 1 s.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Route sends requests to a group or to a site.
type Route struct {
	// Host is a host name, or "*.example.com" for every name below. Empty:
	// any. A whole name comes before a "*.".
	Host string `json:"host,omitempty"`
	// Path is matched by whole segments: "/a" is "/a" and "/a/b", not "/ab".
	// Empty: "/", which is everything. It is compared with the decoded path.
	Path string `json:"path,omitempty"`
	// Exact matches only Path itself.
	Exact bool `json:"exact,omitempty"`
	// Group or Site is the name of where requests go; one of both.
	Group string `json:"group,omitempty"`
	Site  string `json:"site,omitempty"`
}

// Mirror gets copies of requests. It never slows or fails the requests
// themselves: what it cannot take in time is left out. Its responses are
// thrown away. The zero value mirrors nothing.
type Mirror struct {
	// Address is HOST:PORT.
	Address string `json:"address,omitempty"`
	// MaxBodyBytes is how much of a body a copy holds; the rest is left out.
	// 0: 64 KiB. Drivers that copy bodies as a whole or not at all say so by
	// FeatureMirrorBodyLimit.
	MaxBodyBytes int64 `json:"max_body_bytes,omitempty"`
	// Timeout bounds the time for one copy. 0: 2 s.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Access says which clients are let in: those that Deny does not hold and
// that Allow holds or that find Allow empty. Others get 403.
//
// A client is who connects, or with TrustedHops or TrustedProxies who
// X-Forwarded-For says it is. That address is also the one that hashes by
// HashSourceAddress use and that servers read as the last of X-Forwarded-For.
type Access struct {
	Allow []netip.Prefix `json:"allow,omitempty"`
	Deny  []netip.Prefix `json:"deny,omitempty"`
	// TrustedHops is the number of proxies before this one that each append
	// to X-Forwarded-For: the client is the entry of that number from the
	// end. Only for places that nobody reaches but through them. 0: none.
	TrustedHops int `json:"trusted_hops,omitempty"`
	// TrustedProxies are the addresses of proxies whose X-Forwarded-For is
	// believed: the client is the last entry that is not one of them. Not
	// beside TrustedHops.
	TrustedProxies []netip.Prefix `json:"trusted_proxies,omitempty"`
}
