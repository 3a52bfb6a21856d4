package mesh

import (
	"errors"
	"strings"
	"testing"
)

// sdcServices are the services of the SDC sample.
func sdcServices() []Service {
	return []Service{
		{Host: "proxy-access-control.default.svc.cluster.local", Ports: []uint32{9180, 50054}},
		{Host: "http-lb.default.svc.cluster.local", Ports: []uint32{9180, 50054}},
		{Host: "snort-ids.default.svc.cluster.local", Ports: []uint32{80, 6379, 50052, 50054}},
	}
}

func TestBuildersGolden(t *testing.T) {
	for name, s := range map[string]Set{
		"sdc.yaml": SDC(SDCOptions{}),
		"sdc-custom.yaml": SDC(SDCOptions{
			Namespace: "sample", Hosts: []string{"shop.example.org"}, Gateway: map[string]string{"app": "edge"},
			Versions: map[string]int{"http-lb-v1": 90, "http-lb-v2": 10}, NoMirror: true,
		}),
		"tracing.yaml": Tracing("istio-system", "jaeger", 100),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.YAML()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, got)
			if err := s.Validate(nil); err != nil {
				t.Errorf("alone: %v", err)
			}
			again, err := Parse(got, "elsewhere")
			if err != nil {
				t.Fatal(err)
			}
			if text, err := again.YAML(); err != nil || string(text) != string(got) {
				t.Errorf("after a round trip: %v\n%s", err, text)
			}
		})
	}
}

func TestSDCFitsItsServices(t *testing.T) {
	s := Merge(SDC(SDCOptions{}), Tracing("istio-system", "jaeger", 100))
	if err := s.Validate(&Known{Services: sdcServices(), Providers: []string{"jaeger"}}); err != nil {
		t.Error(err)
	}
}

// TestParseGuide reads the resources as Clover's guide of 2019 prints them.
func TestParseGuide(t *testing.T) {
	s, err := Parse([]byte(`
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: sdc-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
# nothing here
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: sdcsample}
spec:
  hosts: ["*"]
  gateways: [sdc-gateway]
  http:
  - match: [{uri: {prefix: /}}]
    route:
    - destination: {host: proxy-access-control, port: {number: 9180}}
    mirror: {host: snort-ids}
`), "default")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Gateways) != 1 || len(s.VirtualServices) != 1 || s.Gateways[0].Namespace != "default" {
		t.Fatalf("read %d gateways, %d routes", len(s.Gateways), len(s.VirtualServices))
	}
	if err := s.Validate(nil); err != nil {
		t.Error(err)
	}
	// The mirror names no port: it is the one on which requests arrive.
	if err := s.Validate(&Known{Services: sdcServices()}); err != nil {
		t.Error(err)
	}
	s.Gateways[0].Spec.Servers[0].Port.Number = 8080
	err = s.Validate(&Known{Services: sdcServices()})
	if err == nil || !strings.Contains(err.Error(), "spec.http[0].mirror.port: is missing: snort-ids.default.svc.cluster.local has the ports 80, 6379, 50052, 50054, but requests arrive on 8080") {
		t.Errorf("error is %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"another kind":        {"{apiVersion: v1, kind: Service, metadata: {name: x}}", "read document 1: Service of v1 is none of Clover's kinds"},
		"no kind":             {"{spec: {}}", "a resource without kind of no apiVersion"},
		"another version":     {"{apiVersion: networking.istio.io/v9, kind: Gateway, metadata: {name: x}}", "none of Clover's kinds"},
		"an unknown field":    {"{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: x}, spec: {severs: []}}", `unknown field "severs"`},
		"an unknown metadata": {"{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {nam: x}}", `unknown field "nam"`},
		"a wrong type":        {"{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: x}, spec: {servers: 1}}", "spec: "},
		"no YAML":             {"a: b: c", "read document 1: "},
		"too much":            {strings.Repeat("#", maxYAMLBytes+1), "at most 4194304 are read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.doc), "default")
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrInvalid) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	text, err := SDC(SDCOptions{}).YAML()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{apiVersion: networking.istio.io/v1, kind: Gateway, spec: null}"))
	f.Add([]byte("{apiVersion: telemetry.istio.io/v1, kind: Telemetry, spec: {tracing: [{providers: [{}]}, null]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data, "default")
		if err != nil {
			return
		}
		// Whatever can be read can be checked and printed.
		_ = s.Validate(nil)
		_ = s.Validate(&Known{})
		if _, err := s.YAML(); err != nil {
			t.Errorf("print %q: %v", data, err)
		}
	})
}
