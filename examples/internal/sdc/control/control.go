// Package control is the agent beside each service of the sample: it answers
// the gRPC services nginx.Controller and snort.Controller, checks what it is
// asked for, and hands it on as plain values to what really does the work.
// Proxy, Balancer, Server and Engine are the seams: Clover's own small
// services stand behind them, or nginx and an IDS engine.
package control

import (
	"context"
	"errors"
	"net/netip"
)

// ErrInvalid marks a request that can never work as it is.
var ErrInvalid = errors.New("invalid")

// ProxyConfig changes a proxy. Empty fields leave it as it is.
type ProxyConfig struct {
	Port         string // the port it is thought to listen on
	Name         string
	LocationPath string // requests below it are forwarded
	Upstream     string // HOST:PORT
	Mirror       string // HOST:PORT, or [NoMirror]
	Block        []netip.Addr
	Unblock      []netip.Addr
}

// NoMirror as ProxyConfig.Mirror ends the copies.
const NoMirror = "-"

// Alert is an event of an IDS.
type Alert struct {
	EventID     string
	RedisKey    string     // where the whole event is; "" nowhere
	Source      netip.Addr // invalid: only Redis knows
	SignatureID uint32
	Signature   string
}

// Verdict is what a proxy made of an alert.
type Verdict struct {
	Source  netip.Addr
	Blocked bool
	Reason  string // for people
}

// Proxy forwards and mirrors requests and keeps clients out. Methods may be
// called concurrently, and take effect for requests that begin after they
// have returned. Requests under way end as they began.
type Proxy interface {
	// Configure changes the proxy as a whole or, with an error, not at all.
	Configure(ctx context.Context, c ProxyConfig) error
	// Alerted tells of an alert, which may come again.
	Alerted(ctx context.Context, a Alert) (Verdict, error)
	// Blocked lists the addresses that are kept out.
	Blocked() []netip.Addr
}

// BalancerConfig replaces the servers of a load balancer.
type BalancerConfig struct {
	Port    string // the port it is thought to listen on
	Name    string
	Group   string
	Path    string   // requests below it are balanced; "": all
	Servers []string // HOST:PORT, at least one
}

// Balancer spreads requests over servers. Methods may be called concurrently.
// No request fails because of a change: those under way end as they began.
type Balancer interface {
	// Configure returns the servers before.
	Configure(ctx context.Context, c BalancerConfig) (previous []string, err error)
}

// SiteConfig changes a server. Empty fields leave it as it is.
type SiteConfig struct {
	Port       string // the port it is thought to listen on
	Name       string
	Root       string
	Index      string
	UploadPath string
	UploadTest string
	Locations  []Location
	Files      []File
}

// Location is a part of a site with a rule of its own.
type Location struct {
	Match string // path prefix
	Path  string // folder within the site
	Try   Try
}

// File is copied within a site. Names may begin with the site's root.
type File struct{ Source, Destination string }

// Server serves a site. Methods may be called concurrently.
type Server interface {
	// Configure returns how many files it has put in place.
	Configure(ctx context.Context, c SiteConfig) (files int, err error)
}

// EngineState names a running or stopped engine.
type EngineState struct {
	Engine string
	PID    int
}

// Engine looks at traffic by rules. Methods may be called concurrently.
type Engine interface {
	// AddRule adds a rule, or replaces the one of the same SID by a later
	// revision, and returns how many there are. A running engine uses it at
	// once or after Stop and Start, as it can.
	AddRule(ctx context.Context, r Rule) (rules int, err error)
	// Start and Stop of what is started or stopped already change nothing.
	// Stop clears the engine's logs; its rules stay.
	Start(ctx context.Context) (EngineState, error)
	Stop(ctx context.Context) (EngineState, error)
}
