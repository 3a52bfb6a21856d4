package mesh

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingapi "istio.io/api/networking/v1alpha3"
	telemetryapi "istio.io/api/telemetry/v1alpha1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The ports and names of the SDC sample.
const (
	sdcGateway = "sdc-gateway"
	sdcRoutes  = "sdcsample"
	sdcProxy   = "proxy-access-control"
	sdcSnort   = "snort-ids"
	sdcLB      = "http-lb"
	sdcPort    = 9180
	idsPort    = 80
)

// ManagedBy is the value of the label app.kubernetes.io/managed-by on the
// resources that this package makes.
const ManagedBy = "clover"

// SDCOptions says how the SDC sample is reached. The zero value is the
// sample of Clover's guide.
type SDCOptions struct {
	// Namespace of the sample; "" is "default".
	Namespace string
	// Hosts that the gateway answers for; none is every host.
	Hosts []string
	// Gateway selects the gateway's pods; nil is {"istio": "ingressgateway"}.
	Gateway map[string]string
	// Versions is the share in percent of each version of http-lb; nil is 50
	// for http-lb-v1 and http-lb-v2 each.
	Versions map[string]int
	// NoMirror leaves out the copy of each request to snort-ids.
	NoMirror bool
}

// SDC returns the mesh resources of the SDC sample: Gateway sdc-gateway on
// port 80, VirtualService sdcsample to proxy-access-control with a mirror to
// snort-ids, and the split of http-lb between its versions.
func SDC(o SDCOptions) Set {
	namespace := cmp.Or(o.Namespace, metav1.NamespaceDefault)
	hosts := o.Hosts
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	selector := o.Gateway
	if selector == nil {
		selector = map[string]string{"istio": "ingressgateway"}
	}
	versions := o.Versions
	if versions == nil {
		versions = map[string]int{"http-lb-v1": 50, "http-lb-v2": 50}
	}
	route := &networkingapi.HTTPRoute{
		Name:  "all",
		Match: []*networkingapi.HTTPMatchRequest{{Uri: prefix("/")}},
		Route: []*networkingapi.HTTPRouteDestination{{Destination: destination(sdcProxy, sdcPort, "")}},
	}
	if !o.NoMirror {
		route.Mirrors = []*networkingapi.HTTPMirrorPolicy{{
			Destination: destination(sdcSnort, idsPort, ""),
			Percentage:  &networkingapi.Percent{Value: 100},
		}}
	}
	s := Set{
		Gateways: []*networking.Gateway{{
			ObjectMeta: named(namespace, sdcGateway),
			Spec: networkingapi.Gateway{
				Selector: maps.Clone(selector),
				Servers: []*networkingapi.Server{{
					Port:  &networkingapi.Port{Number: 80, Name: "http", Protocol: "HTTP"},
					Hosts: slices.Clone(hosts),
				}},
			},
		}},
		VirtualServices: []*networking.VirtualService{{
			ObjectMeta: named(namespace, sdcRoutes),
			Spec: networkingapi.VirtualService{
				Hosts:    slices.Clone(hosts),
				Gateways: []string{sdcGateway},
				Http:     []*networkingapi.HTTPRoute{route},
			},
		}},
	}
	return Merge(s, Split(namespace, sdcLB, sdcPort, versions))
}

// Split shares the requests to a service between versions of it: a
// DestinationRule with a subset for each value of the pods' label "version",
// and a VirtualService that weighs them. Shares are percents and make 100
// together, which [Set.Validate] holds.
func Split(namespace, service string, port int, versions map[string]int) Set {
	rule := &networking.DestinationRule{
		ObjectMeta: named(namespace, service),
		Spec:       networkingapi.DestinationRule{Host: service},
	}
	route := &networkingapi.HTTPRoute{Name: "split"}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		rule.Spec.Subsets = append(rule.Spec.Subsets, &networkingapi.Subset{
			Name: version, Labels: map[string]string{"version": version},
		})
		route.Route = append(route.Route, &networkingapi.HTTPRouteDestination{
			Destination: destination(service, port, version),
			Weight:      int32(versions[version]),
		})
	}
	return Set{
		DestinationRules: []*networking.DestinationRule{rule},
		VirtualServices: []*networking.VirtualService{{
			ObjectMeta: named(namespace, service),
			Spec: networkingapi.VirtualService{
				Hosts: []string{service},
				Http:  []*networkingapi.HTTPRoute{route},
			},
		}},
	}
}

// Tracing lets the proxies of a namespace send that many percent of the
// requests' spans to a tracing provider of the mesh configuration. In
// Istio's own namespace (istio-system) it holds for the whole mesh.
func Tracing(namespace, provider string, percent float64) Set {
	return Set{Telemetries: []*telemetry.Telemetry{{
		ObjectMeta: named(namespace, "clover-tracing"),
		Spec: telemetryapi.Telemetry{Tracing: []*telemetryapi.Tracing{{
			Providers:                []*telemetryapi.ProviderRef{{Name: provider}},
			RandomSamplingPercentage: wrapperspb.Double(percent),
		}}},
	}}}
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels: map[string]string{"app.kubernetes.io/managed-by": ManagedBy},
	}
}

func destination(host string, port int, subset string) *networkingapi.Destination {
	return &networkingapi.Destination{
		Host: host, Subset: subset,
		Port: &networkingapi.PortSelector{Number: uint32(port)},
	}
}

func prefix(path string) *networkingapi.StringMatch {
	return &networkingapi.StringMatch{MatchType: &networkingapi.StringMatch_Prefix{Prefix: path}}
}
