package system

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// kinds are all that Clover is made of, in the order of removal: first what
// runs, last what others need.
var kinds = []schema.GroupKind{
	{Group: "networking.istio.io", Kind: "Gateway"},
	{Group: "networking.istio.io", Kind: "VirtualService"},
	{Group: "networking.istio.io", Kind: "DestinationRule"},
	{Group: "networking.istio.io", Kind: "EnvoyFilter"},
	{Group: "networking.istio.io", Kind: "ServiceEntry"},
	{Group: "networking.istio.io", Kind: "Sidecar"},
	{Group: "security.istio.io", Kind: "PeerAuthentication"},
	{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
	{Group: "telemetry.istio.io", Kind: "Telemetry"},
	{Group: "apps", Kind: "Deployment"},
	{Group: "apps", Kind: "StatefulSet"},
	{Group: "apps", Kind: "DaemonSet"},
	{Group: "batch", Kind: "CronJob"},
	{Group: "batch", Kind: "Job"},
	{Group: "policy", Kind: "PodDisruptionBudget"},
	{Group: "", Kind: "Service"},
	{Group: "networking.k8s.io", Kind: "Ingress"},
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"},
	{Group: "", Kind: "PersistentVolumeClaim"},
	{Group: "", Kind: "ConfigMap"},
	{Group: "", Kind: "Secret"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
	{Group: "rbac.authorization.k8s.io", Kind: "Role"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
	{Group: "", Kind: "ServiceAccount"},
}

// claimKind is what collected data lives on.
const claimKind = "PersistentVolumeClaim"

// Removal is what deleting a system would remove.
type Removal struct {
	Namespace string
	Objects   []*unstructured.Unstructured
	// Data are the claims among the volumes; they go with the rest unless
	// they are kept.
	Data []*unstructured.Unstructured
	// EndsNamespace is set if nothing of Clover is left afterwards and the
	// namespace is Clover's.
	EndsNamespace bool

	resources map[types.UID]dynamic.ResourceInterface
}

// Removal finds what cloverctl has made for a system.
func (in *Installer) Removal(ctx context.Context, s System, namespace string) (*Removal, error) {
	if namespace == "" {
		namespace = s.DefaultNamespace()
	}
	all, resources, err := in.owned(ctx, namespace)
	if err != nil {
		return nil, err
	}
	components := append(s.Components(), s.removes...)
	r := &Removal{Namespace: namespace, resources: resources}
	r.Objects = choose(all, components)
	for _, u := range r.Objects {
		if u.GetKind() == claimKind {
			r.Data = append(r.Data, u)
		}
	}
	if len(r.Objects) == len(all) {
		if r.EndsNamespace, err = in.ownsNamespace(ctx, namespace); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// choose returns the objects of the components, and what components share if
// no other component is left that could need it.
func choose(all []*unstructured.Unstructured, components []string) []*unstructured.Unstructured {
	component := func(u *unstructured.Unstructured) string { return u.GetLabels()[deploy.ComponentLabel] }
	others := slices.ContainsFunc(all, func(u *unstructured.Unstructured) bool {
		return component(u) != deploy.Shared && !slices.Contains(components, component(u))
	})
	var chosen []*unstructured.Unstructured
	for _, u := range all {
		if slices.Contains(components, component(u)) || component(u) == deploy.Shared && !others {
			chosen = append(chosen, u)
		}
	}
	return chosen
}

// owned lists everything that cloverctl has made for a namespace, in the
// order of removal. Kinds that the cluster does not know are passed over.
func (in *Installer) owned(ctx context.Context, namespace string) ([]*unstructured.Unstructured, map[types.UID]dynamic.ResourceInterface, error) {
	lists := make([][]*unstructured.Unstructured, len(kinds))
	clients := make([]dynamic.ResourceInterface, len(kinds))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, kind := range kinds {
		group.Go(func() (err error) {
			lists[i], clients[i], err = in.ownedOf(ctx, kind, namespace)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, kube.Explain(err)
	}
	var all []*unstructured.Unstructured
	resources := map[types.UID]dynamic.ResourceInterface{}
	for i, list := range lists {
		for _, u := range list {
			resources[u.GetUID()] = clients[i]
		}
		all = append(all, list...)
	}
	return all, resources, nil
}

func (in *Installer) ownedOf(ctx context.Context, kind schema.GroupKind, namespace string) ([]*unstructured.Unstructured, dynamic.ResourceInterface, error) {
	mapping, err := in.Cluster.Mapper().RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	selector := ComponentsOf()
	var resource dynamic.ResourceInterface = in.Cluster.Dynamic().Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = in.Cluster.Dynamic().Resource(mapping.Resource).Namespace(namespace)
	} else {
		selector += "," + NamespaceLabel + "=" + namespace
	}
	list, err := resource.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, nil, err
	}
	var out []*unstructured.Unstructured
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, resource, nil
}

// DeleteOptions adjust a removal.
type DeleteOptions struct {
	// KeepData leaves the volumes, and with them the namespace.
	KeepData bool
	// DryRun lets the API server only check.
	DryRun bool
	// NoWait does not wait until everything is gone.
	NoWait bool
	// Progress is told what is waited for; nil: nobody.
	Progress func(string)
}

// Delete removes what was found, reports each object, and waits until it is
// gone. What was gone already is no error.
func (in *Installer) Delete(ctx context.Context, r *Removal, o DeleteOptions, report func(Result) error) error {
	if o.KeepData && !o.DryRun {
		if err := in.retainData(ctx, r); err != nil {
			return err
		}
	}
	foreground := metav1.DeletePropagationForeground
	options := metav1.DeleteOptions{PropagationPolicy: &foreground}
	if o.DryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	var going []*unstructured.Unstructured
	for _, u := range r.Objects {
		if o.KeepData && u.GetKind() == claimKind {
			if err := report(Result{Action: Kept, Object: u}); err != nil {
				return err
			}
			continue
		}
		uid := u.GetUID()
		options.Preconditions = &metav1.Preconditions{UID: &uid}
		err := r.resources[uid].Delete(ctx, u.GetName(), options)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			continue // gone, or another one of the same name
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where(u), kube.Explain(err))
		}
		if err := report(Result{Action: Deleted, Object: u}); err != nil {
			return err
		}
		going = append(going, u)
	}
	if o.DryRun || o.NoWait {
		return nil
	}
	return in.awaitGone(ctx, r, going, o.Progress)
}

// retainData takes the volumes from their StatefulSets, with which they would
// be removed.
func (in *Installer) retainData(ctx context.Context, r *Removal) error {
	patch := []byte(`{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}`)
	for _, u := range r.Objects {
		if u.GetKind() != "StatefulSet" {
			continue
		}
		if _, err := r.resources[u.GetUID()].Patch(ctx, u.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("%s: %w", where(u), kube.Explain(err))
		}
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, noticeTimeout, true, func(ctx context.Context) (bool, error) {
		for _, u := range r.Data {
			live, err := r.resources[u.GetUID()].Get(ctx, u.GetName(), metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			if len(live.GetOwnerReferences()) > 0 {
				return false, nil
			}
		}
		return true, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return errors.New("the data could not be taken out of what is deleted in time; nothing was deleted: is the controller manager of the cluster running?")
	}
	return kube.Explain(err)
}

// awaitGone waits until objects are gone, with the pods that they owned.
func (in *Installer) awaitGone(ctx context.Context, r *Removal, going []*unstructured.Unstructured, progress func(string)) error {
	said := ""
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		var left []string
		for _, u := range going {
			live, err := r.resources[u.GetUID()].Get(ctx, u.GetName(), metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && live.GetUID() != u.GetUID() {
				continue
			}
			if err != nil {
				return false, kube.Explain(err)
			}
			left = append(left, Describe(u))
		}
		if len(left) == 0 {
			return true, nil
		}
		if text := "Waiting for the end of " + some(left); text != said && progress != nil && workload(going[0]) {
			progress(text)
			said = text
		}
		return false, nil
	})
}

// some names the first of a list, and how many more there are.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
