package system

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// ownsNamespace reports whether cloverctl has made a namespace.
func (in *Installer) ownsNamespace(ctx context.Context, name string) (bool, error) {
	ns, err := in.Cluster.Typed().CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, kube.Explain(err)
	}
	return ns.Labels[ManagedByLabel] == FieldManager, nil
}

// Inhabitant is an object that lives in a namespace.
type Inhabitant struct{ Resource, Name string }

// EndNamespace removes the namespace of a removal if cloverctl has made it
// and nothing lives in it any more. It returns what does.
func (in *Installer) EndNamespace(ctx context.Context, r *Removal, report func(Result) error) ([]Inhabitant, error) {
	if !r.EndsNamespace {
		return nil, nil
	}
	left, err := in.inhabitants(ctx, r.Namespace)
	if err != nil || len(left) > 0 {
		return left, err
	}
	namespaces := in.Cluster.Typed().CoreV1().Namespaces()
	err = namespaces.Delete(ctx, r.Namespace, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, kube.Explain(err)
	}
	u := &unstructured.Unstructured{}
	u.SetKind("Namespace")
	u.SetName(r.Namespace)
	if err := report(Result{Action: Deleted, Object: u}); err != nil {
		return nil, err
	}
	return nil, wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := namespaces.Get(ctx, r.Namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, kube.Explain(err)
	})
}

// fleeting are resources that tell of others, or go with them.
var fleeting = []string{"events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io", "leases.coordination.k8s.io"}

// natural reports whether a namespace holds an object by itself, or whether
// it goes with its owner.
func natural(resource schema.GroupResource, m *metav1.PartialObjectMetadata) bool {
	switch resource.String() {
	case "serviceaccounts":
		return m.Name == "default"
	case "configmaps":
		return m.Name == "kube-root-ca.crt" || m.Name == "istio-ca-root-cert" || m.Name == "istio-ca-crl"
	}
	return metav1.GetControllerOf(m) != nil
}

// inhabitants lists what lives in a namespace beside what is natural there.
// What the user may not list counts as something: nobody's data is removed
// unseen.
func (in *Installer) inhabitants(ctx context.Context, namespace string) ([]Inhabitant, error) {
	resources, err := discovery.ServerPreferredNamespacedResources(in.Cluster.Discovery())
	if unseen, ok := discovery.GroupDiscoveryFailedErrorGroups(err); ok {
		var list []Inhabitant
		for group := range unseen {
			list = append(list, Inhabitant{"objects of the API", group.String() + " (it does not answer)"})
		}
		return list, nil
	}
	if err != nil {
		return nil, kube.Explain(err)
	}
	resources = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, resources)
	found, err := discovery.GroupVersionResources(resources)
	if err != nil {
		return nil, err
	}
	lists := make(chan []Inhabitant, len(found))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for resource := range found {
		if slices.Contains(fleeting, resource.GroupResource().String()) {
			continue
		}
		group.Go(func() error {
			list, err := in.inhabitantsOf(ctx, resource, namespace)
			lists <- list
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, kube.Explain(err)
	}
	close(lists)
	var all []Inhabitant
	for list := range lists {
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b Inhabitant) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

func (in *Installer) inhabitantsOf(ctx context.Context, resource schema.GroupVersionResource, namespace string) ([]Inhabitant, error) {
	list, err := in.Cluster.Metadata().Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return []Inhabitant{{resource.Resource, "(you may not list them)"}}, nil
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list %s: %w", resource.Resource, err)
	}
	var out []Inhabitant
	for i := range list.Items {
		if !natural(resource.GroupResource(), &list.Items[i]) {
			out = append(out, Inhabitant{resource.Resource, list.Items[i].Name})
		}
	}
	return out, nil
}
