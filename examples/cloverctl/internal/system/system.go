// Package system installs and removes parts of Clover in a cluster.
//
// What is to be there comes from package deploy. [Installer.Plan] compares it
// with what is there and touches nothing; [Installer.Apply], [Installer.Diff]
// and [Installer.Delete] take it from there. What Clover has made is known by
// its labels, so that nothing else is ever removed.
package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/deploy/spinnaker"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

const (
	// FieldManager is who owns the fields that are applied.
	FieldManager = "cloverctl"
	// ManagedByLabel has the value FieldManager on what cloverctl has made.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// NamespaceLabel says on cluster-wide objects to which install they
	// belong.
	NamespaceLabel = "clover.opnfv.org/namespace"
)

// System is what users create and delete by name.
type System struct {
	// Name is what they type behind "system", e.g. "controller nodeport".
	Name string
	// Title is what is said to be created, e.g. "controller service".
	Title string
	// Summary says what it is.
	Summary string

	components []string // of package deploy
	removes    []string // further components that go with it
	needs      string   // a component that is made too if it is not there
	// A system that does not live in Clover's namespace has one of its own,
	// which is a value of its section of the chart.
	namespace, section string
	spinnaker          bool // comes from package deploy/spinnaker
}

// Systems lists what can be created and deleted.
func Systems() []System { return slices.Clone(systems) }

var systems = []System{
	{Name: "controller", Title: "controller service", Summary: "REST, gRPC and the dashboard",
		components: []string{"controller"}, removes: []string{"controller-nodeport", "controller-lb"}},
	{Name: "controller nodeport", Title: "controller service", Summary: "the controller on a port of each node (32044)",
		components: []string{"controller-nodeport"}, needs: "controller"},
	{Name: "controller lb", Title: "controller service", Summary: "the controller behind a load balancer",
		components: []string{"controller-lb"}, needs: "controller"},
	{Name: "visibility", Title: "visibility services", Summary: "collector and controller, and Cassandra with --store cassandra",
		components: []string{"visibility"}, removes: []string{"controller-nodeport", "controller-lb", "cassandra", "spark"}},
	{Name: "collector", Title: "collector service", Summary: "reads traces and metrics, takes OTLP, stores both",
		components: []string{"collector"}, removes: []string{"spark"}},
	{Name: "datastore", Title: "datastore services", Summary: "Redis", components: []string{"datastore"}},
	{Name: "spark", Title: "spark services", Summary: "Apache Spark's jobs, which sum up the collector's spans", components: []string{"spark"}},
	{Name: "sdc", Title: "sdc services", Summary: "the sample: proxy, load balancers, servers, IDS",
		components: []string{"sdc"}, namespace: "default", section: "sdc"},
	{Name: "spinnaker", Title: "spinnaker services", Summary: "Spinnaker, which delivers to clusters (its images are not Clover's)",
		components: []string{spinnaker.Component}, namespace: spinnaker.DefaultNamespace, spinnaker: true},
	{Name: "clovisor", Title: "clovisor services", Summary: "session traces from the kernel",
		components: []string{"clovisor"}, namespace: "clovisor", section: "clovisor"},
	{Name: "validation", Title: "validation services", Summary: "load tests: JMeter's master and slaves",
		components: []string{"validation"}, namespace: "default", section: "validation"},
}

// Find returns the system of a name.
func Find(name string) (System, error) {
	var names []string
	for _, s := range systems {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return System{}, fmt.Errorf("system %s is not known; want one of %s", name, strings.Join(names, ", "))
}

// DefaultNamespace is where a system lives if nothing else is said.
func (s System) DefaultNamespace() string {
	return cmp.Or(s.namespace, deploy.DefaultNamespace)
}

// Components are the components that the system is made of.
func (s System) Components() []string {
	members := map[string][]string{}
	for _, c := range deploy.Components() {
		members[c.Name] = c.Members
	}
	var list []string
	for _, name := range s.components {
		if m := members[name]; len(m) > 0 {
			list = append(list, m...)
		} else {
			list = append(list, name)
		}
	}
	return list
}

// Options adjust an install.
type Options struct {
	// Namespace of the install; "" is the system's own.
	Namespace string
	// Registry and Tag of the images; "" are the release's.
	Registry, Tag string
	// Size is one of deploy.Sizes; "" is the smallest.
	Size string
	// Values of the chart; nil are its own.
	Values map[string]any
	// Force takes fields that others have changed, and objects that others
	// have made.
	Force bool
}

// namespace is where the system lives.
func (o Options) namespace(s System) string {
	if o.Namespace != "" {
		return o.Namespace
	}
	return s.DefaultNamespace()
}

// Render returns the objects of a system. c may be nil: an empty cluster.
func Render(ctx context.Context, c *kube.Cluster, s System, o Options) ([]*unstructured.Unstructured, error) {
	return render(ctx, c, s, s.components, o)
}

func render(ctx context.Context, c *kube.Cluster, s System, components []string, o Options) ([]*unstructured.Unstructured, error) {
	namespace := o.namespace(s)
	if s.spinnaker {
		return renderSpinnaker(ctx, c, namespace, o)
	}
	options := deploy.Options{
		Components: components, Namespace: namespace, Registry: o.Registry, Tag: o.Tag, Size: o.Size, Values: maps.Clone(o.Values),
	}
	if s.section != "" {
		options.Values = withNamespace(options.Values, s.section, namespace)
	}
	if c != nil {
		options.Lookup = deploy.ClusterLookup(c.Dynamic())
		version, err := c.Version()
		if err != nil {
			return nil, err
		}
		options.KubeVersion = version
	}
	objects, err := deploy.Render(ctx, options)
	if err != nil {
		return nil, err
	}
	for _, u := range objects {
		mark(u, namespace)
	}
	return objects, nil
}

// renderSpinnaker returns the objects of Spinnaker, which is no part of the
// chart.
func renderSpinnaker(ctx context.Context, c *kube.Cluster, namespace string, o Options) ([]*unstructured.Unstructured, error) {
	if len(o.Values) > 0 {
		return nil, errors.New("system spinnaker has no values: change its manifests by an overlay (kubectl apply -k)")
	}
	options := spinnaker.Options{Namespace: namespace, Registry: o.Registry, Tag: o.Tag}
	if c != nil {
		options.Lookup = deploy.ClusterLookup(c.Dynamic())
	}
	objects, err := spinnaker.Render(ctx, options)
	for _, u := range objects {
		mark(u, namespace)
	}
	return objects, err
}

// withNamespace puts the namespace into a section of the values that does not
// say another.
func withNamespace(values map[string]any, name, namespace string) map[string]any {
	section := map[string]any{}
	if given, ok := values[name].(map[string]any); ok {
		section = maps.Clone(given)
	}
	if _, given := section["namespace"]; !given {
		section["namespace"] = namespace
	}
	if values == nil {
		values = map[string]any{}
	}
	values[name] = section
	return values
}

// mark adds the labels by which deleting finds everything: the install's on
// cluster-wide objects, the object's own on the volumes that a StatefulSet
// makes.
func mark(u *unstructured.Unstructured, namespace string) {
	own := u.GetLabels()
	if u.GetNamespace() == "" && u.GetKind() != "Namespace" {
		u.SetLabels(merge(own, map[string]string{NamespaceLabel: namespace}))
	}
	claims, found, err := unstructured.NestedSlice(u.Object, "spec", "volumeClaimTemplates")
	if err != nil || !found {
		return
	}
	for _, claim := range claims {
		c := &unstructured.Unstructured{Object: claim.(map[string]any)}
		c.SetLabels(merge(c.GetLabels(), map[string]string{
			ManagedByLabel: own[ManagedByLabel], deploy.ComponentLabel: own[deploy.ComponentLabel],
		}))
	}
	u.Object["spec"].(map[string]any)["volumeClaimTemplates"] = claims
}

func merge(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

// Describe names an object as in `deployment "clover-controller"`.
func Describe(u *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %q", strings.ToLower(u.GetKind()), u.GetName())
}
