package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// Action is what became of an object.
type Action string

// The actions.
const (
	Created   Action = "Created"
	Updated   Action = "Updated"
	Unchanged Action = "Unchanged"
	Kept      Action = "Kept"
	Deleted   Action = "Deleted"
)

// Result is an object and what became of it.
type Result struct {
	Action Action
	Object *unstructured.Unstructured
	// Unchecked is set if the API server has not seen the object.
	Unchecked bool
}

// Line words a result as cloverctl always has.
func (r Result) Line() string {
	kind, name := strings.ToLower(r.Object.GetKind()), r.Object.GetName()
	switch kind {
	case "namespace":
		return fmt.Sprintf("%s %s namespace", r.Action, name)
	case "service":
		return fmt.Sprintf("%s service %q", r.Action, name)
	}
	return fmt.Sprintf("%s %s %q.", r.Action, kind, name)
}

// ConflictError says that others have changed fields that cloverctl applies.
type ConflictError struct {
	Object string
	Err    error
}

func (e *ConflictError) Error() string {
	fields := e.Err.Error()
	var st *apierrors.StatusError
	if errors.As(e.Err, &st) && st.ErrStatus.Details != nil {
		var list []string
		for _, c := range st.ErrStatus.Details.Causes {
			list = append(list, fmt.Sprintf("%s: %s", c.Field, c.Message))
		}
		fields = strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s has been changed by others: %s\nSet the value for good with --set or -f, or take the fields back with --force-conflicts.", e.Object, fields)
}

// Unwrap returns the cause.
func (e *ConflictError) Unwrap() error { return e.Err }

// Apply makes the cluster hold what the plan wants, in order, and reports
// each object. A dry run asks the API server what would become of it. What
// was applied before an error stays; to apply again goes on from there.
func (in *Installer) Apply(ctx context.Context, p *Plan, dryRun bool, report func(Result) error) error {
	for i := range p.Steps {
		s := &p.Steps[i]
		r, err := in.apply(ctx, p, s, dryRun)
		if err != nil {
			return err
		}
		if err := report(r); err != nil {
			return err
		}
		if r.Action == Updated && s.Want.GetKind() == "StatefulSet" && !dryRun {
			if err := in.unstick(ctx, s.Want); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *Installer) apply(ctx context.Context, p *Plan, s *Step, dryRun bool) (Result, error) {
	if s.Keep {
		return Result{Action: Kept, Object: s.Live}, nil
	}
	if dryRun && p.NewNamespace && s.Want.GetNamespace() == p.Namespace {
		return Result{Action: Created, Object: s.Want, Unchecked: true}, nil
	}
	got, err := s.patch(ctx, p.force, dryRun)
	if err != nil {
		return Result{}, err
	}
	switch {
	case s.Live == nil:
		return Result{Action: Created, Object: got}, nil
	case same(s.Live, got):
		return Result{Action: Unchanged, Object: got}, nil
	}
	return Result{Action: Updated, Object: got}, nil
}

// patch is a server-side apply.
func (s *Step) patch(ctx context.Context, force, dryRun bool) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(s.Want)
	if err != nil {
		return nil, err
	}
	options := metav1.PatchOptions{FieldManager: FieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	got, err := s.resource.Patch(ctx, s.Want.GetName(), types.ApplyPatchType, body, options)
	switch {
	case apierrors.IsConflict(err):
		return nil, &ConflictError{where(s.Want), err}
	case apierrors.IsInvalid(err) && s.Live != nil:
		return nil, fmt.Errorf("%s: %w\nWhat cannot be changed in place is made anew by 'cloverctl delete system' and 'create system'; --keep-data keeps collected data", where(s.Want), err)
	case noNamespace(err):
		return nil, fmt.Errorf("%w\nMake the namespace with 'kubectl create namespace %s', or choose another with -n", err, s.Want.GetNamespace())
	case err != nil:
		return nil, fmt.Errorf("%s: %w", where(s.Want), kube.Explain(err))
	}
	return got, nil
}

// noNamespace reports whether an object has nowhere to live.
func noNamespace(err error) bool {
	var st *apierrors.StatusError
	return apierrors.IsNotFound(err) && errors.As(err, &st) && st.ErrStatus.Details != nil && st.ErrStatus.Details.Kind == "namespaces"
}

// same reports whether two states of an object differ in what users mean by
// it: not in the bookkeeping of the API server.
func same(a, b *unstructured.Unstructured) bool {
	return equality.Semantic.DeepEqual(bare(a).Object, bare(b).Object)
}

// bare is an object without the API server's bookkeeping and without its
// status.
func bare(u *unstructured.Unstructured) *unstructured.Unstructured {
	out := u.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(out.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(out.Object, "metadata", "annotations", "deployment.kubernetes.io/revision")
	if a, _, err := unstructured.NestedMap(out.Object, "metadata", "annotations"); err == nil && len(a) == 0 {
		unstructured.RemoveNestedField(out.Object, "metadata", "annotations")
	}
	unstructured.RemoveNestedField(out.Object, "status")
	return out
}

const (
	pollInterval = 250 * time.Millisecond
	// noticeTimeout bounds how long a controller may take to see a change.
	noticeTimeout = 15 * time.Second
)

// unstick removes the pods of a StatefulSet that never became ready with the
// old template: Kubernetes waits for such a pod for ever before it makes the
// next, so that a template which was wrong could not be mended.
func (in *Installer) unstick(ctx context.Context, want *unstructured.Unstructured) error {
	typed := in.Cluster.Typed()
	var set *appsv1.StatefulSet
	err := wait.PollUntilContextTimeout(ctx, pollInterval, noticeTimeout, true, func(ctx context.Context) (bool, error) {
		var err error
		set, err = typed.AppsV1().StatefulSets(want.GetNamespace()).Get(ctx, want.GetName(), metav1.GetOptions{})
		return err == nil && set.Status.ObservedGeneration >= set.Generation, err
	})
	if wait.Interrupted(err) {
		return nil // its controller is away; --wait says what is not ready
	}
	if err != nil {
		return kube.Explain(err)
	}
	pods, err := typed.CoreV1().Pods(set.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector)})
	if err != nil {
		return kube.Explain(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Labels[appsv1.ControllerRevisionHashLabelKey] == set.Status.UpdateRevision || podReady(p) {
			continue
		}
		err := typed.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, *metav1.NewPreconditionDeleteOptions(string(p.UID)))
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return kube.Explain(err)
		}
	}
	return nil
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// AwaitNamespace waits until a namespace that is being deleted is gone.
func (in *Installer) AwaitNamespace(ctx context.Context, name string) error {
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		ns, err := in.Cluster.Typed().CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && ns.DeletionTimestamp == nil, kube.Explain(err)
	})
}

// ComponentsOf is the selector of the objects that cloverctl has made for
// these components; all if there are none.
func ComponentsOf(components ...string) string {
	selector := ManagedByLabel + "=" + FieldManager
	if len(components) > 0 {
		selector += "," + deploy.ComponentLabel + " in (" + strings.Join(components, ",") + ")"
	}
	return selector
}
