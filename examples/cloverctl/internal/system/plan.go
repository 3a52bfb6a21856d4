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
	"k8s.io/client-go/dynamic"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// Installer installs into and removes from one cluster.
type Installer struct {
	Cluster *kube.Cluster
}

// Plan is what an install has to do, and with which objects.
type Plan struct {
	System    System
	Namespace string
	Steps     []Step
	// NewNamespace is set if the namespace is not there yet.
	NewNamespace bool
	force        bool
}

// Step is one object of a plan.
type Step struct {
	Want *unstructured.Unstructured
	Live *unstructured.Unstructured // nil: it is not there
	// Keep is set for a namespace that others have made: it is used, and
	// stays theirs.
	Keep bool

	resource dynamic.ResourceInterface
}

// ForeignError says that an object is there that cloverctl has not made.
type ForeignError struct {
	Object  string
	Manager string // "": unknown
}

func (e *ForeignError) Error() string {
	by := "not by cloverctl"
	if e.Manager != "" {
		by = "by " + e.Manager
	}
	return fmt.Sprintf("%s is there already, made %s\nRemove it, choose another namespace with -n, or take it over with --force-conflicts.", e.Object, by)
}

// maxParallel bounds requests at the same time.
const maxParallel = 8

// Plan compares what a system is made of with what the cluster holds. Where
// the user may not even read that, it returns a MissingRightsError.
func (in *Installer) Plan(ctx context.Context, s System, o Options) (*Plan, error) {
	p, err := in.plan(ctx, s, o)
	var denied *kube.DeniedError
	if !errors.As(err, &denied) {
		return p, err
	}
	objects, renderErr := Render(ctx, nil, s, o)
	if renderErr != nil {
		return nil, renderErr
	}
	if missing := in.permit(ctx, objects, "get", "create", "patch"); missing != nil {
		return nil, missing
	}
	return nil, err
}

// Components are those of the objects.
func (p *Plan) Components() []string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Want.GetLabels()[deploy.ComponentLabel])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (in *Installer) plan(ctx context.Context, s System, o Options) (*Plan, error) {
	components := s.components
	if s.needs != "" {
		there, err := in.has(ctx, o.namespace(s), s.needs)
		if err != nil {
			return nil, err
		}
		if !there {
			components = append([]string{s.needs}, components...)
		}
	}
	want, err := render(ctx, in.Cluster, s, components, o)
	if err != nil {
		return nil, kube.Explain(err)
	}
	p := &Plan{System: s, Namespace: o.namespace(s), force: o.Force, Steps: make([]Step, len(want))}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, u := range want {
		group.Go(func() (err error) {
			p.Steps[i], err = in.step(ctx, u)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, kube.Explain(err)
	}
	return p, p.settle()
}

// has reports whether something of a component is in the namespace.
func (in *Installer) has(ctx context.Context, namespace, component string) (bool, error) {
	l, err := in.Cluster.Typed().AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: deploy.ComponentLabel + "=" + component})
	if err != nil {
		return false, kube.Explain(err)
	}
	return len(l.Items) > 0, nil
}

// step reads the live object.
func (in *Installer) step(ctx context.Context, want *unstructured.Unstructured) (Step, error) {
	resource, err := in.resource(want)
	if err != nil {
		return Step{}, err
	}
	live, err := resource.Get(ctx, want.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		live, err = nil, nil
	}
	return Step{Want: want, Live: live, resource: resource}, err
}

// resource is where an object is read and written.
func (in *Installer) resource(u *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := u.GroupVersionKind()
	mapping, err := in.Cluster.Mapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("%s needs the kind %s, which the cluster does not know: install what brings it first (for *.istio.io: Istio)", Describe(u), gvk)
	}
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return in.Cluster.Dynamic().Resource(mapping.Resource).Namespace(u.GetNamespace()), nil
	}
	return in.Cluster.Dynamic().Resource(mapping.Resource), nil
}

// ErrTerminating says that the namespace is about to go.
var ErrTerminating = errors.New("the namespace is being deleted")

// ErrShared says that systems whose pods are held to different standards
// would share a namespace.
var ErrShared = errors.New("another system of Clover is there, whose pods are held to another standard; choose another namespace with -n, or none")

// shared reports whether cloverctl has made a namespace for something else.
func (s *Step) shared() bool {
	live, want := s.Live.GetLabels(), s.Want.GetLabels()
	return live[ManagedByLabel] == FieldManager && live[deploy.ComponentLabel] != want[deploy.ComponentLabel]
}

// settle decides about what others have made.
func (p *Plan) settle() error {
	for i := range p.Steps {
		s := &p.Steps[i]
		namespace := s.Want.GetKind() == "Namespace"
		switch {
		case s.Live == nil:
			p.NewNamespace = p.NewNamespace || namespace
		case namespace && s.Live.GetDeletionTimestamp() != nil:
			return fmt.Errorf("%w: %s", ErrTerminating, s.Live.GetName())
		case namespace && s.shared():
			return fmt.Errorf("%w: %s", ErrShared, s.Live.GetName())
		case s.Live.GetLabels()[ManagedByLabel] == FieldManager:
			if owner := s.Live.GetLabels()[NamespaceLabel]; owner != "" && owner != p.Namespace {
				return &ForeignError{Object: Describe(s.Want), Manager: "the Clover in namespace " + owner}
			}
		case namespace:
			s.Keep = true
		case !p.force:
			return &ForeignError{Object: where(s.Want), Manager: s.Live.GetLabels()[ManagedByLabel]}
		}
	}
	return nil
}

// where names an object with its namespace.
func where(u *unstructured.Unstructured) string {
	if u.GetNamespace() == "" {
		return Describe(u)
	}
	return Describe(u) + " in namespace " + u.GetNamespace()
}

// Images lists the images of a workload's containers.
func Images(u *unstructured.Unstructured) []string {
	containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil
	}
	var images []string
	for _, c := range containers {
		if image, ok := c.(map[string]any)["image"].(string); ok {
			images = append(images, image)
		}
	}
	return images
}

// workload reports whether an object runs pods.
func workload(u *unstructured.Unstructured) bool {
	switch strings.ToLower(u.GetKind()) {
	case "deployment", "statefulset", "daemonset":
		return true
	}
	return false
}
