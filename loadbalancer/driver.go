package loadbalancer

import (
	"context"
	"time"
)

// Driver makes something real do what a Config says. Its methods may be
// called concurrently; changes are made one after another.
type Driver interface {
	// Describe says what the driver is and what it can do. It may be called
	// at any time and does not block.
	Describe() Description
	// Apply puts c into effect and returns when it is: each request that a
	// client begins to send afterwards is answered by c. Requests under way
	// end as they began, see [Promise].
	//
	// With an error, what was in effect before still is. Apply refuses what
	// is not valid (ErrInvalid) and what the driver cannot do
	// (ErrUnsupported) before it touches anything. The driver keeps nothing
	// of c's slices.
	Apply(ctx context.Context, c Config) (Result, error)
}

// Description says what a driver is and what it can do.
type Description struct {
	// Name and Version of what is driven, e.g. "nginx" and "1.26.3". Version
	// may be empty before the first Apply.
	Name    string
	Version string
	// Unsupported holds what the driver cannot do, each with the reason.
	Unsupported map[Feature]string
	// Promise is what changes of servers and groups cost clients.
	Promise Promise
}

// Promise is what a change costs clients.
type Promise struct {
	// LosesNone: no request fails because of the change, of whatever client.
	LosesNone bool
	// Reason says for people how that is so, or what may be lost and why,
	// e.g. "idle keep-alive connections are closed when workers are replaced".
	Reason string
}

// Result says how a change went.
type Result struct {
	// Changed is false if the configuration was in effect already.
	Changed bool
	// Promise is what this change cost; it may be less than the driver's in
	// general, e.g. where a listener was moved.
	Promise Promise
	// Took is the time from the call to the change in effect.
	Took time.Duration
}

// Feature is something that a Config can ask for and a driver may not have.
type Feature string

// The features. What is not listed every driver can do.
const (
	FeatureLeastConnections Feature = "least connections"
	FeatureRandomTwoChoices Feature = "random two choices"
	FeatureHash             Feature = "hash"
	FeatureDrain            Feature = "drain"
	FeatureBackup           Feature = "backup servers"
	FeatureSlowStart        Feature = "slow start"
	FeatureMaxConnections   Feature = "max connections"
	FeatureQueue            Feature = "queue"
	FeatureHealthCheck      Feature = "health checks"
	FeatureH2C              Feature = "HTTP/2 without TLS from clients"
	FeatureServerH2C        Feature = "HTTP/2 to servers"
	FeatureHostOfServer     Feature = "server's address as host"
	FeatureMirror           Feature = "mirror"
	FeatureMirrorBodyLimit  Feature = "limit of mirrored bodies"
	FeatureAccess           Feature = "access lists"
	FeatureTrustedHops      Feature = "trusted hops"
	FeatureTrustedProxies   Feature = "trusted proxies"
	FeatureSite             Feature = "sites"
	FeatureUpload           Feature = "uploads"
	FeatureTLS              Feature = "TLS"
	// These no configuration asks for; a driver may lack them all the same.
	//
	// FeatureTrailers: trailers of HTTP/1.1 responses reach clients.
	FeatureTrailers Feature = "trailers of HTTP/1.1"
	// FeatureCounts: what is under way at a server counts for the choice also
	// after a change.
	FeatureCounts Feature = "counts kept over changes"
	// FeatureDuplex: a response may begin before a long request has ended.
	FeatureDuplex Feature = "responses that begin before the request has ended"
)

// Features lists what a configuration asks for, in the order of the
// constants.
func Features(c Config) []Feature {
	used := map[Feature]bool{
		FeatureMirror:          c.Mirror.Address != "",
		FeatureMirrorBodyLimit: c.Mirror.MaxBodyBytes != 0,
		FeatureAccess:          len(c.Access.Allow)+len(c.Access.Deny) > 0,
		FeatureTrustedHops:     c.Access.TrustedHops > 0,
		FeatureTrustedProxies:  len(c.Access.TrustedProxies) > 0,
		FeatureSite:            len(c.Sites) > 0,
	}
	use := func(f Feature, yes bool) { used[f] = used[f] || yes }
	for _, l := range c.Listeners {
		use(FeatureTLS, l.CertFile != "")
		use(FeatureH2C, l.H2C)
	}
	for _, s := range c.Sites {
		use(FeatureUpload, s.UploadPath != "" || s.UploadForm != "")
	}
	for _, g := range c.Groups {
		use(FeatureLeastConnections, g.Method == LeastConnections)
		use(FeatureRandomTwoChoices, g.Method == RandomTwoChoices)
		use(FeatureHash, g.Method == Hash)
		use(FeatureServerH2C, g.Protocol == H2C)
		use(FeatureHostOfServer, g.Host == HostOfServer)
		use(FeatureHealthCheck, g.Health.Path != "")
		use(FeatureQueue, g.Queue.Length > 0)
		for _, s := range g.Servers {
			use(FeatureDrain, s.State == Drain)
			use(FeatureBackup, s.Backup)
			use(FeatureSlowStart, s.SlowStart > 0)
			use(FeatureMaxConnections, s.MaxConnections > 0)
		}
	}
	var list []Feature
	for _, f := range AllFeatures() {
		if used[f] {
			list = append(list, f)
		}
	}
	return list
}

// AllFeatures lists the features.
func AllFeatures() []Feature {
	return []Feature{
		FeatureLeastConnections, FeatureRandomTwoChoices, FeatureHash, FeatureDrain, FeatureBackup, FeatureSlowStart,
		FeatureMaxConnections, FeatureQueue, FeatureHealthCheck, FeatureH2C, FeatureServerH2C, FeatureHostOfServer,
		FeatureMirror, FeatureMirrorBodyLimit, FeatureAccess, FeatureTrustedHops, FeatureTrustedProxies, FeatureSite,
		FeatureUpload, FeatureTLS,
	}
}

// Check is the first step of a driver's Apply: it returns an error unless c is
// valid and asks for nothing that the driver cannot do.
func (d Description) Check(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	e := &UnsupportedError{Driver: d.Name}
	for _, f := range Features(c) {
		if reason, no := d.Unsupported[f]; no {
			e.Features = append(e.Features, UnsupportedFeature{Feature: f, Reason: reason})
		}
	}
	if len(e.Features) > 0 {
		return e
	}
	return nil
}
