package system

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// Right is a verb on a resource; cluster-wide if there is no namespace.
type Right struct {
	Verb, Group, Resource, Subresource, Namespace string
}

// String words it as in "create deployments.apps in namespace default".
func (r Right) String() string {
	resource := r.Resource
	if r.Group != "" {
		resource += "." + r.Group
	}
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	if r.Namespace == "" {
		return fmt.Sprintf("%s %s cluster-wide", r.Verb, resource)
	}
	return fmt.Sprintf("%s %s in namespace %s", r.Verb, resource, r.Namespace)
}

// MissingRightsError says which rights are missing; nothing was changed.
type MissingRightsError struct{ Missing []Right }

func (e *MissingRightsError) Error() string {
	var lines []string
	for _, r := range e.Missing {
		lines = append(lines, "  "+r.String())
	}
	return fmt.Sprintf("no permission; nothing was changed. You may not:\n%s\nAsk an administrator of the cluster for a role with these rights, or choose another context with --context.", strings.Join(lines, "\n"))
}

// right is a verb on an object's resource.
func (in *Installer) right(verb string, u *unstructured.Unstructured) (Right, error) {
	gvk := u.GroupVersionKind()
	mapping, err := in.Cluster.Mapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return Right{}, err
	}
	r := Right{Verb: verb, Group: gvk.Group, Resource: mapping.Resource.Resource}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		r.Namespace = u.GetNamespace()
	}
	return r, nil
}

func unique(rights []Right) []Right {
	slices.SortFunc(rights, func(a, b Right) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group),
			cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Subresource, b.Subresource), cmp.Compare(a.Verb, b.Verb))
	})
	return slices.Compact(rights)
}

// Missing asks the API server which of the rights the user has not.
func Missing(ctx context.Context, c *kube.Cluster, rights []Right) ([]Right, error) {
	denied := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, r := range rights {
		group.Go(func() error {
			review := &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authv1.ResourceAttributes{
					Verb: r.Verb, Group: r.Group, Resource: r.Resource, Subresource: r.Subresource, Namespace: r.Namespace,
				},
			}}
			answer, err := c.Typed().AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			denied[i] = err == nil && !answer.Status.Allowed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, kube.Explain(err)
	}
	var missing []Right
	for i, r := range rights {
		if denied[i] {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

// Permit returns a MissingRightsError if the plan needs rights that the user
// has not.
func (in *Installer) Permit(ctx context.Context, p *Plan) error {
	var there, absent []*unstructured.Unstructured
	for _, s := range p.Steps {
		switch {
		case s.Keep:
		case s.Live == nil:
			absent = append(absent, s.Want)
		default:
			there = append(there, s.Want)
		}
	}
	// Applying what is not there creates it.
	if err := in.permit(ctx, absent, "create", "patch"); err != nil {
		return err
	}
	return in.permit(ctx, there, "patch")
}

// PermitRemoval returns a MissingRightsError if removing needs rights that
// the user has not.
func (in *Installer) PermitRemoval(ctx context.Context, r *Removal) error {
	return in.permit(ctx, r.Objects, "delete")
}

// permit returns a MissingRightsError if the user lacks one of the verbs on
// one of the objects.
func (in *Installer) permit(ctx context.Context, objects []*unstructured.Unstructured, verbs ...string) error {
	var rights []Right
	for _, u := range objects {
		for _, verb := range verbs {
			r, err := in.right(verb, u)
			if err != nil {
				return err
			}
			rights = append(rights, r)
		}
	}
	missing, err := Missing(ctx, in.Cluster, unique(rights))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &MissingRightsError{missing}
	}
	return nil
}
