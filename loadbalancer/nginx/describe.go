package nginx

import (
	"fmt"

	"github.com/opnfv/clover/loadbalancer"
)

// describe says what the program can do.
func describe(p program, o Options) loadbalancer.Description {
	no := map[loadbalancer.Feature]string{
		loadbalancer.FeatureSlowStart:       "only in NGINX Plus",
		loadbalancer.FeatureQueue:           "only in NGINX Plus",
		loadbalancer.FeatureHealthCheck:     "only in NGINX Plus; failures take servers out",
		loadbalancer.FeatureHostOfServer:    "nginx writes the request before it chooses the server",
		loadbalancer.FeatureMirrorBodyLimit: "nginx copies bodies as a whole",
		loadbalancer.FeatureCounts:          "new workers begin to count anew",
		loadbalancer.FeatureDuplex:          "over HTTP/1.1 nginx may stop sending a request of megabytes then",
	}
	need := func(f loadbalancer.Feature, ok bool, reason string) {
		if !ok {
			no[f] = reason
		}
	}
	need(loadbalancer.FeatureH2C, p.version.atLeast(hasHTTP2On) && p.with("http_v2_module"),
		fmt.Sprintf("needs nginx %s or newer, built with HTTP/2", hasHTTP2On))
	need(loadbalancer.FeatureServerH2C, p.with("http_v2_module") && !p.without("http_grpc_module"), "nginx is built without HTTP/2")
	need(loadbalancer.FeatureTLS, p.with("http_ssl_module") && p.with("http_v2_module"), "nginx is built without TLS or HTTP/2")
	need(loadbalancer.FeatureTrustedProxies, p.with("http_realip_module"), "nginx is built without the realip module")
	need(loadbalancer.FeatureMirror, !p.without("http_mirror_module"), "nginx is built without the mirror module")
	need(loadbalancer.FeatureTrailers, p.version.atLeast(hasTrailers), fmt.Sprintf("needs nginx %s or newer", hasTrailers))
	return loadbalancer.Description{Name: "nginx", Version: p.version.String(), Unsupported: no, Promise: promise(p, o)}
}

// promise says what a change costs.
func promise(p program, o Options) loadbalancer.Promise {
	strict := o.DrainTime >= o.KeepAlive
	switch {
	case p.version.atLeast(hasMinTimeout) && strict:
		return loadbalancer.Promise{LosesNone: true, Reason: fmt.Sprintf(
			"old workers keep idle connections open for %s, end each after its next response, and a change waits for that", o.KeepAlive)}
	case p.version.atLeast(hasMinTimeout):
		return loadbalancer.Promise{LosesNone: true, Reason: fmt.Sprintf(
			"old workers keep idle connections open and end each after its next response; on one that was idle for longer than %s "+
				"that response may still be the old configuration's", o.DrainTime)}
	case strict:
		return loadbalancer.Promise{LosesNone: true, Reason: fmt.Sprintf(
			"nginx %s closes idle connections in a reload, so clients are told to go for %s before it, which is as long as a connection may be idle",
			p.version, o.DrainTime)}
	default:
		return loadbalancer.Promise{Reason: fmt.Sprintf(
			"nginx %s closes idle connections in a reload; clients are told to go for %s before it, so that only a connection "+
				"that was idle for longer can lose the request that crosses its end", p.version, o.DrainTime)}
	}
}

// check refuses what the program cannot do, before anything is touched.
func check(desc loadbalancer.Description, c loadbalancer.Config) error {
	if err := desc.Check(c); err != nil {
		return err
	}
	for _, g := range c.Groups {
		if g.Method != loadbalancer.Hash && g.Method != loadbalancer.RandomTwoChoices {
			continue
		}
		for _, s := range g.Servers {
			if s.Backup {
				return &loadbalancer.UnsupportedError{Driver: desc.Name, Features: []loadbalancer.UnsupportedFeature{{
					Feature: loadbalancer.FeatureBackup, Reason: fmt.Sprintf("not beside method %s (group %q)", g.Method, g.Name),
				}}}
			}
		}
	}
	return nil
}
