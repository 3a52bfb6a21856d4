// Package drivertest is the conformance suite that every
// loadbalancer.Driver passes.
//
// A driver's test opens it in a Fixture and hands it to [Run]:
//
//	func TestDriver(t *testing.T) {
//		drivertest.Run(t, func(t *testing.T) drivertest.Fixture { … })
//	}
//
// The suite starts real servers on loopback, changes the driver, and looks at
// what clients get. What a driver says it does not support by its Description
// is checked to be refused, and said in the test's log. [Load] runs clients of
// seven kinds through many changes and counts what each of them loses.
//
// CLOVER_LB_CHANGES sets the number of changes under load, 200 if it is not
// set.
package drivertest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// Fixture is a driver that runs, with addresses of 127.0.0.1 on which nothing
// else listens. It ends when its test does.
type Fixture struct {
	Driver loadbalancer.Driver
	// Addr is for clients of HTTP/1.1, H2CAddr for those of HTTP/2.
	Addr, H2CAddr string
	// InEffect is what the 99th percentile of Apply may take while clients
	// load the machine if CLOVER_LB_CHANGES is set. Else, as the machine may be
	// busy, the median may take a hundred times as long. 0: it is measured only.
	InEffect time.Duration
	// Changes under load, if not CLOVER_LB_CHANGES. 0: 200.
	Changes int
	// Pause between changes under load. 0: 5 ms.
	Pause time.Duration
}

// OpenFunc opens a driver that has had no change yet.
type OpenFunc func(t *testing.T) Fixture

// Run runs the suite, each test on a driver of its own.
func Run(t *testing.T, open OpenFunc) {
	for _, test := range []struct {
		name  string
		run   func(*kit)
		needs []loadbalancer.Feature
	}{
		{name: "Empty", run: testEmpty},
		{name: "Refuses", run: testRefuses},
		{name: "RoundRobin", run: testRoundRobin},
		{name: "Weights", run: testWeights},
		{name: "LeastConnections", run: testLeastConnections, needs: features(loadbalancer.FeatureLeastConnections)},
		{name: "RandomTwoChoices", run: testTwoChoices, needs: features(loadbalancer.FeatureRandomTwoChoices)},
		{name: "Hash", run: testHash, needs: features(loadbalancer.FeatureHash)},
		{name: "HashSources", run: testHashSources, needs: features(loadbalancer.FeatureHash)},
		{name: "Down", run: testDown},
		{name: "Drain", run: testDrain, needs: features(loadbalancer.FeatureDrain)},
		{name: "Removed", run: testRemoved},
		{name: "Backup", run: testBackup, needs: features(loadbalancer.FeatureBackup)},
		{name: "SlowStart", run: testSlowStart, needs: features(loadbalancer.FeatureSlowStart)},
		{name: "MaxConnections", run: testMaxConnections, needs: features(loadbalancer.FeatureMaxConnections)},
		{name: "Queue", run: testQueue, needs: features(loadbalancer.FeatureMaxConnections, loadbalancer.FeatureQueue)},
		{name: "DeadServer", run: testDeadServer},
		{name: "HealthCheck", run: testHealthCheck, needs: features(loadbalancer.FeatureHealthCheck)},
		{name: "Routes", run: testRoutes},
		{name: "Hosts", run: testHosts},
		{name: "HostHeader", run: testHostHeader},
		{name: "HostOfServer", run: testHostOfServer, needs: features(loadbalancer.FeatureHostOfServer)},
		{name: "Bodies", run: testBodies},
		{name: "Streaming", run: testStreaming},
		{name: "WebSocket", run: testWebSocket},
		{name: "HTTP2", run: testHTTP2, needs: features(loadbalancer.FeatureH2C)},
		{name: "GRPC", run: testGRPC, needs: features(loadbalancer.FeatureH2C, loadbalancer.FeatureServerH2C)},
		{name: "Mirror", run: testMirror, needs: features(loadbalancer.FeatureMirror)},
		{name: "DeadMirror", run: testDeadMirror, needs: features(loadbalancer.FeatureMirror)},
		{name: "Access", run: testAccess, needs: features(loadbalancer.FeatureAccess)},
		{name: "TrustedHops", run: testTrustedHops, needs: features(loadbalancer.FeatureAccess, loadbalancer.FeatureTrustedHops)},
		{name: "TrustedProxies", run: testTrustedProxies, needs: features(loadbalancer.FeatureAccess, loadbalancer.FeatureTrustedProxies)},
		{name: "Site", run: testSite, needs: features(loadbalancer.FeatureSite)},
		{name: "Upload", run: testUpload, needs: features(loadbalancer.FeatureSite, loadbalancer.FeatureUpload)},
		{name: "Listeners", run: testListeners},
		{name: "Concurrent", run: testConcurrent},
		{name: "Load", run: testLoad},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKit(t, open(t))
			if k.has(test.needs...) {
				test.run(k)
			}
		})
	}
}

// can reports whether the driver says nothing against a feature, for those
// that no configuration asks for.
func (k *kit) can(f loadbalancer.Feature) bool {
	reason, no := k.Driver.Describe().Unsupported[f]
	if no {
		k.Logf("not supported: %s: %s", f, reason)
	}
	return !no
}

func features(list ...loadbalancer.Feature) []loadbalancer.Feature { return list }

// kit is what a test works with.
type kit struct {
	*testing.T
	Fixture
}

func newKit(t *testing.T, f Fixture) *kit { return &kit{T: t, Fixture: f} }

// has reports whether the driver supports all of that. What it says it does
// not, it must refuse.
func (k *kit) has(needs ...loadbalancer.Feature) bool {
	k.Helper()
	all := true
	for _, f := range needs {
		reason, no := k.Driver.Describe().Unsupported[f]
		if !no {
			continue
		}
		all = false
		k.Logf("not supported: %s: %s", f, reason)
		_, err := k.Driver.Apply(k.Context(), configWith(k, f))
		var unsupported *loadbalancer.UnsupportedError
		if !errors.As(err, &unsupported) || !errors.Is(err, loadbalancer.ErrUnsupported) {
			k.Errorf("%s is not supported, but Apply returns %v", f, err)
		}
	}
	return all
}

// configWith asks for a feature.
func configWith(k *kit, f loadbalancer.Feature) loadbalancer.Config {
	c := k.config(group("web", nil))
	g := &c.Groups[0]
	g.Servers = []loadbalancer.Server{{Address: "127.0.0.1:1"}}
	s := &g.Servers[0]
	switch f {
	case loadbalancer.FeatureLeastConnections:
		g.Method = loadbalancer.LeastConnections
	case loadbalancer.FeatureRandomTwoChoices:
		g.Method = loadbalancer.RandomTwoChoices
	case loadbalancer.FeatureHash:
		g.Method = loadbalancer.Hash
	case loadbalancer.FeatureDrain:
		s.State = loadbalancer.Drain
	case loadbalancer.FeatureBackup:
		s.Backup = true
	case loadbalancer.FeatureSlowStart:
		s.SlowStart = time.Second
	case loadbalancer.FeatureMaxConnections:
		s.MaxConnections = 1
	case loadbalancer.FeatureQueue:
		g.Queue.Length = 1
	case loadbalancer.FeatureHealthCheck:
		g.Health.Path = "/healthz"
	case loadbalancer.FeatureH2C:
		c.Listeners = []loadbalancer.Listener{{Address: k.H2CAddr, H2C: true}}
	case loadbalancer.FeatureServerH2C:
		g.Protocol = loadbalancer.H2C
	case loadbalancer.FeatureHostOfServer:
		g.Host = loadbalancer.HostOfServer
	case loadbalancer.FeatureMirror, loadbalancer.FeatureMirrorBodyLimit:
		c.Mirror = loadbalancer.Mirror{Address: "127.0.0.1:1", MaxBodyBytes: 10}
	case loadbalancer.FeatureAccess:
		c.Access.Deny = prefixes("192.0.2.0/24")
	case loadbalancer.FeatureTrustedHops:
		c.Access.TrustedHops = 1
	case loadbalancer.FeatureTrustedProxies:
		c.Access.TrustedProxies = prefixes("192.0.2.0/24")
	case loadbalancer.FeatureSite, loadbalancer.FeatureUpload:
		c.Sites = []loadbalancer.Site{{Name: "site", Root: "/srv", UploadPath: "/upload"}}
	case loadbalancer.FeatureTLS:
		c.Listeners[0].CertFile, c.Listeners[0].KeyFile = "/cert.pem", "/key.pem"
	}
	return c
}

// config listens on the fixture's addresses and routes everything to the
// first group.
func (k *kit) config(groups ...loadbalancer.Group) loadbalancer.Config {
	c := loadbalancer.Config{Listeners: []loadbalancer.Listener{{Address: k.Addr}}, Groups: groups}
	if _, no := k.Driver.Describe().Unsupported[loadbalancer.FeatureH2C]; !no {
		c.Listeners = append(c.Listeners, loadbalancer.Listener{Address: k.H2CAddr, H2C: true})
	}
	if len(groups) > 0 {
		c.Routes = []loadbalancer.Route{{Path: "/", Group: groups[0].Name}}
	}
	return c
}

// group has the origins as servers.
func group(name string, origins []*origin) loadbalancer.Group {
	// A machine that is busy with others is no dead server.
	g := loadbalancer.Group{Name: name, ConnectTimeout: 20 * time.Second}
	for _, o := range origins {
		g.Servers = append(g.Servers, loadbalancer.Server{Address: o.addr})
	}
	return g
}

// apply changes the driver, which must not fail.
func (k *kit) apply(c loadbalancer.Config) loadbalancer.Result {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), 2*patience)
	defer cancel()
	res, err := k.Driver.Apply(ctx, c)
	if err != nil {
		k.Fatalf("Apply: %v", err)
	}
	return res
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
