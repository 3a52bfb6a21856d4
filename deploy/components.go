package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknownComponent is a name that no component has.
var ErrUnknownComponent = errors.New("unknown component")

// Component is a part of Clover that is created and deleted by name.
type Component struct {
	// Name is what cloverctl calls it.
	Name string
	// Summary says in a few words what it is.
	Summary string
	// Members are the components that a group stands for; none for a
	// component that is no group.
	Members []string
	// enable writes into the chart's values whether it is wanted.
	enable func(values map[string]any, wanted bool)
}

var catalog = []Component{
	{Name: "visibility", Summary: "collector and controller", Members: []string{"collector", "controller"}},
	{Name: "controller", Summary: "REST, gRPC and the dashboard", enable: section("controller")},
	{Name: "controller-nodeport", Summary: "the controller on a port of each node", enable: expose("NodePort")},
	{Name: "controller-lb", Summary: "the controller behind a load balancer", enable: expose("LoadBalancer")},
	{Name: "collector", Summary: "reads traces and metrics, takes OTLP, stores both", enable: section("collector")},
	{Name: "cassandra", Summary: "Apache Cassandra, the store of several collectors", enable: section("cassandra")},
	{Name: "spark", Summary: "Apache Spark's jobs, which sum up the collector's spans", enable: section("spark")},
	{Name: "datastore", Summary: "Redis", enable: section("datastore")},
	{Name: "sdc", Summary: "the sample: proxy, load balancers, servers, IDS", enable: section("sdc")},
	{Name: "clovisor", Summary: "session traces from the kernel", enable: section("clovisor")},
	{Name: "validation", Summary: "load tests: JMeter's master and slaves", enable: section("validation")},
}

// Components lists what can be created by name.
func Components() []Component { return slices.Clone(catalog) }

// section switches a part of the chart.
func section(name string) func(map[string]any, bool) {
	return func(values map[string]any, wanted bool) {
		part, ok := values[name].(map[string]any)
		if !ok {
			part = map[string]any{}
			values[name] = part
		}
		part["enabled"] = wanted
	}
}

// expose adds the controller's service of that type, for which the chart's
// controller is rendered too.
func expose(serviceType string) func(map[string]any, bool) {
	return func(values map[string]any, wanted bool) {
		if wanted {
			section("controller")(values, true)
			values["controller"].(map[string]any)["service"] = map[string]any{"type": serviceType}
		}
	}
}

// expand replaces groups by their members and adds what all need.
func expand(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		i := slices.IndexFunc(catalog, func(c Component) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("deploy: %w %q; there are %s", ErrUnknownComponent, name, strings.Join(available(), ", "))
		}
		c := catalog[i]
		if len(c.Members) > 0 {
			out = append(out, c.Members...)
		} else {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("deploy: no component is named; there are %s", strings.Join(available(), ", "))
	}
	if slices.ContainsFunc(out, func(name string) bool { return !slices.Contains(standalone, name) }) {
		out = append(out, Shared)
	}
	return out, nil
}

// needsCassandra reports whether these values have the collector keep its data
// in a Cassandra that is Clover's own.
func needsCassandra(values map[string]any) bool {
	collector, _ := values["collector"].(map[string]any)
	other, _ := collector["cassandra"].(map[string]any)
	hosts, _ := other["hosts"].([]any)
	return collector["store"] == "cassandra" && len(hosts) == 0
}

// standalone are the components that need nothing of what is shared.
var standalone = []string{"controller-nodeport", "controller-lb", "sdc", "clovisor", "validation"}

// available names the components that Render knows.
func available() []string {
	var names []string
	for _, c := range catalog {
		names = append(names, c.Name)
	}
	return names
}
