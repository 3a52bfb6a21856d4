package mesh

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// header makes the first lines of a resource in namespace default.
func header(kind, group, version, name string) string {
	return fmt.Sprintf("apiVersion: %s.istio.io/%s\nkind: %s\nmetadata: {name: %s, namespace: default}\n", group, version, kind, name)
}

func routes(spec string) string {
	return header("VirtualService", "networking", "v1", "v") + "spec: " + spec
}

func gateway(spec string) string {
	return header("Gateway", "networking", "v1", "g") + "spec: " + spec
}

// TestValidate gives each rule something that breaks it, with what people
// read then; an empty want is a set without fault.
func TestValidate(t *testing.T) {
	known := &Known{Services: sdcServices(), Providers: []string{"jaeger", "zipkin"}, Set: SDC(SDCOptions{})}
	toLB := "route: [{destination: {host: http-lb, port: {number: 9180}}}]"
	for name, c := range map[string]struct{ doc, want string }{
		"weights": {
			routes(`{hosts: [http-lb], http: [{route: [{destination: {host: http-lb, subset: http-lb-v1}, weight: 50}, {destination: {host: http-lb, subset: http-lb-v2}, weight: 40}]}]}`),
			"VirtualService default/v: spec.http[0].route: weights make 90 percent together, want 100",
		},
		"a negative weight": {
			routes(`{hosts: [http-lb], http: [{route: [{destination: {host: http-lb}, weight: -1}, {destination: {host: http-lb}, weight: 101}]}]}`),
			"spec.http[0].route[0].weight: is -1, want 0 to 100 percent",
		},
		"a subset": {
			routes(`{hosts: [http-lb], http: [{route: [{destination: {host: http-lb, subset: v3}}]}]}`),
			`spec.http[0].route[0].destination.subset: no DestinationRule for http-lb.default.svc.cluster.local has a subset "v3", there is http-lb-v1, http-lb-v2`,
		},
		"a service": {
			routes(`{hosts: [http-lb], http: [{route: [{destination: {host: httplb}}]}]}`),
			"spec.http[0].route[0].destination.host: there is no service httplb.default.svc.cluster.local",
		},
		"half a service name": {
			routes(`{hosts: [http-lb], http: [{route: [{destination: {host: http-lb.default}}]}]}`),
			"there is no service http-lb.default, write http-lb.default.svc.cluster.local",
		},
		"a port": {
			routes(`{hosts: [http-lb], http: [{route: [{destination: {host: http-lb, port: {number: 80}}}]}]}`),
			"spec.http[0].route[0].destination.port.number: http-lb.default.svc.cluster.local has no port 80, it has 9180, 50054",
		},
		"a gateway": {
			routes(`{hosts: ["*"], gateways: [sdcgateway], http: [{` + toLB + `}]}`),
			`spec.gateways[0]: there is no Gateway "sdcgateway"; write NAME for one in namespace default, else NAMESPACE/NAME`,
		},
		"a gateway of another namespace": {
			routes(`{hosts: ["*"], gateways: [other/sdc-gateway], http: [{` + toLB + `}]}`),
			`there is no Gateway "other/sdc-gateway"`,
		},
		"a gateway's hosts": {
			gateway(`{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["other/*", "./a.example.org"]}]}`) +
				"\n---\n" + routes(`{hosts: [b.example.org], gateways: [g], http: [{`+toLB+`}]}`),
			`spec.gateways[0]: gateway "g" takes none of the hosts b.example.org`,
		},
		"a gateway's host that fits": {
			gateway(`{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["./*.example.org"]}]}`) +
				"\n---\n" + routes(`{hosts: [b.example.org], gateways: [g], http: [{`+toLB+`}]}`),
			"",
		},
		"every host for sidecars": {
			routes(`{hosts: ["*"], http: [{` + toLB + `}]}`),
			`spec.hosts: "*" is for gateways only`,
		},
		"routes that never match": {
			routes(`{hosts: [http-lb], http: [{` + toLB + `}, {` + toLB + `}]}`),
			"spec.http[0].match: is empty, so that the routes after this one never match: put it last",
		},
		"no action":      {routes(`{hosts: [http-lb], http: [{}]}`), "spec.http[0]: has 0 of route, redirect, directResponse and delegate, want one"},
		"two actions":    {routes(`{hosts: [http-lb], http: [{redirect: {uri: /}, ` + toLB + `}]}`), "has 2 of route"},
		"no routes":      {routes(`{hosts: [http-lb]}`), "spec: has no route"},
		"a regex":        {routes(`{hosts: [http-lb], http: [{match: [{uri: {regex: "("}}], ` + toLB + `}]}`), "spec.http[0].match[0].uri.regex: is no regular expression of RE2"},
		"a header":       {routes(`{hosts: [http-lb], http: [{match: [{headers: {User-Agent: {exact: x}}}], ` + toLB + `}]}`), "header names are in lower case"},
		"a mirror":       {routes(`{hosts: [http-lb], http: [{mirrors: [{destination: {host: snort}, percentage: {value: 101}}], ` + toLB + `}]}`), "spec.http[0].mirrors[0].percentage: is 101, want 0 to 100 percent"},
		"a fault":        {routes(`{hosts: [http-lb], http: [{fault: {abort: {httpStatus: 42}}, ` + toLB + `}]}`), "spec.http[0].fault.abort.httpStatus: is 42, want 200 to 599"},
		"a timeout":      {routes(`{hosts: [http-lb], http: [{timeout: -1s, ` + toLB + `}]}`), "spec.http[0].timeout: is -1s, want 0 or more"},
		"a host twice":   {routes(`{hosts: [http-lb, http-lb], http: [{` + toLB + `}]}`), `spec.hosts[1]: "http-lb" is there twice`},
		"a URL as host":  {routes(`{hosts: ["http://x:80"], http: [{` + toLB + `}]}`), "is no host name: leave out scheme, port and path"},
		"a wildcard":     {routes(`{hosts: ["a.*.org"], http: [{` + toLB + `}]}`), `has a "*" that is not the whole first label`},
		"no servers":     {gateway(`{selector: {a: b}}`), "Gateway default/g: spec.servers: is empty"},
		"a gateway port": {gateway(`{servers: [{port: {number: 70000, name: http, protocol: HTP}, hosts: ["*"]}]}`), `spec.servers[0].port.number: is 70000, want 1 to 65535`},
		"a protocol":     {gateway(`{servers: [{port: {number: 80, name: http, protocol: HTP}, hosts: ["*"]}]}`), `spec.servers[0].port.protocol: "HTP" is unknown`},
		"no TLS":         {gateway(`{servers: [{port: {number: 443, name: s, protocol: HTTPS}, hosts: ["*"]}]}`), "spec.servers[0].tls: is missing: protocol HTTPS needs a mode"},
		"no certificate": {gateway(`{servers: [{port: {number: 443, name: s, protocol: HTTPS}, tls: {mode: SIMPLE}, hosts: ["*"]}]}`), "mode SIMPLE needs credentialName"},
		"TLS on HTTP":    {gateway(`{servers: [{port: {number: 80, name: s, protocol: HTTP}, tls: {mode: SIMPLE}, hosts: ["*"]}]}`), "protocol HTTP has no TLS"},
		"port names":     {gateway(`{servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.org]}, {port: {number: 81, name: a, protocol: HTTP}, hosts: [a.org]}]}`), `spec.servers[1].port.name: "a" is taken by another server`},
		"a second rule": {
			header("DestinationRule", "networking", "v1", "again") + "spec: {host: http-lb.default.svc.cluster.local}",
			"spec.host: DestinationRule default/http-lb is for http-lb.default.svc.cluster.local too: put both into one",
		},
		"subsets": {
			header("DestinationRule", "networking", "v1", "http-lb") + "spec: {host: http-lb, subsets: [{name: http-lb-v1}, {name: http-lb-v1, labels: {version: http-lb-v1}}]}",
			"spec.subsets[0].labels: is empty",
		},
		"a provider": {
			header("Telemetry", "telemetry", "v1", "t") + "spec: {tracing: [{providers: [{name: jäger}], randomSamplingPercentage: 100}]}",
			`spec.tracing[0].providers[0].name: the mesh configuration has no extension provider "jäger", it has jaeger, zipkin`,
		},
		"sampling": {
			header("Telemetry", "telemetry", "v1", "t") + "spec: {tracing: [{randomSamplingPercentage: 100.5}]}",
			"spec.tracing[0].randomSamplingPercentage: is 100.5, want 0 to 100 percent",
		},
		"two telemetries": {
			header("Telemetry", "telemetry", "v1", "t") + "---\n" + header("Telemetry", "telemetry", "v1", "u"),
			"Telemetry default/u selects the same proxies",
		},
		"an empty filter":  {header("EnvoyFilter", "networking", "v1alpha3", "f") + "spec: {}", "spec.configPatches: is empty"},
		"a patch":          {header("EnvoyFilter", "networking", "v1alpha3", "f") + "spec: {configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE}}]}", "spec.configPatches[0].patch.value: is empty: operation MERGE needs one"},
		"a filter's type":  {header("EnvoyFilter", "networking", "v1alpha3", "f") + "spec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_BEFORE, value: {name: x, typed_config: {y: z}}}}]}", "typed_config.@type: is missing"},
		"a resource twice": {gateway(`{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}`) + "\n---\n" + gateway(`{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}`), "metadata.name: is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse([]byte(c.doc), "default")
			if err != nil {
				t.Fatal(err)
			}
			err = s.Validate(known)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var invalid *InvalidError
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrInvalid) || !errors.As(err, &invalid) {
				t.Errorf("error is %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestValidateAlone holds that without the cluster only what the set itself
// decides is a fault.
func TestValidateAlone(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		good bool
	}{
		"what may be elsewhere": {routes(`{hosts: [a.org], gateways: [x], http: [{route: [{destination: {host: b, subset: c}}]}]}`), true},
		"a subset that its own rule lacks": {
			header("DestinationRule", "networking", "v1", "b") + "spec: {host: b}\n---\n" +
				routes(`{hosts: [b], http: [{route: [{destination: {host: b, subset: c}}]}]}`), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse([]byte(c.doc), "default")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(nil); (err == nil) != c.good {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestManyProblemsAreBounded(t *testing.T) {
	s := SDC(SDCOptions{})
	for range 300 {
		s.VirtualServices[0].Spec.Hosts = append(s.VirtualServices[0].Spec.Hosts, "")
	}
	var invalid *InvalidError
	if err := s.Validate(nil); !errors.As(err, &invalid) || len(invalid.Problems) != maxProblems {
		t.Errorf("%d problems, want %d", len(invalid.Problems), maxProblems)
	}
}
