// Package health tells how the workloads of a cluster are: which are ready,
// what each pod waits for, and what keeps one from ever becoming ready, with
// what to do about it.
//
// [Read] takes a [Snapshot] of a namespace; [Snapshot.Workloads] judges it
// without asking anything more.
package health

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// Snapshot is what a namespace holds at a moment.
type Snapshot struct {
	Time         time.Time
	Deployments  []appsv1.Deployment
	StatefulSets []appsv1.StatefulSet
	DaemonSets   []appsv1.DaemonSet
	ReplicaSets  []appsv1.ReplicaSet
	Pods         []corev1.Pod
	Events       []corev1.Event
}

// Read takes a snapshot of the workloads that the selector chooses, and of
// what belongs to them. Events are left out where the user may not read them.
func Read(ctx context.Context, c *kube.Cluster, namespace, selector string) (*Snapshot, error) {
	s := &Snapshot{Time: time.Now()}
	own, all := metav1.ListOptions{LabelSelector: selector}, metav1.ListOptions{}
	apps, core := c.Typed().AppsV1(), c.Typed().CoreV1()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		l, err := apps.Deployments(namespace).List(ctx, own)
		if err == nil {
			s.Deployments = l.Items
		}
		return err
	})
	group.Go(func() error {
		l, err := apps.StatefulSets(namespace).List(ctx, own)
		if err == nil {
			s.StatefulSets = l.Items
		}
		return err
	})
	group.Go(func() error {
		l, err := apps.DaemonSets(namespace).List(ctx, own)
		if err == nil {
			s.DaemonSets = l.Items
		}
		return err
	})
	group.Go(func() error {
		l, err := apps.ReplicaSets(namespace).List(ctx, all)
		if err == nil {
			s.ReplicaSets = l.Items
		}
		return err
	})
	group.Go(func() error {
		l, err := core.Pods(namespace).List(ctx, all)
		if err == nil {
			s.Pods = l.Items
		}
		return err
	})
	group.Go(func() error {
		if l, err := core.Events(namespace).List(ctx, all); err == nil {
			s.Events = l.Items
		}
		return nil
	})
	return s, kube.Explain(group.Wait())
}

// Workload is a Deployment, StatefulSet or DaemonSet.
type Workload struct {
	Kind      string // as in deployment
	Namespace string
	Name      string
	Component string
	// Ready of Want pods are ready, all of the newest version.
	Ready, Want int32
	// Done is set when all are, nothing old is left and no pod has a fault.
	Done bool
	// Problem is one of the workload itself, such as pods that it may not
	// make; nil if there is none.
	Problem *Problem
	// Pods are those of the newest version.
	Pods []Pod
}

// Pod is a pod of a workload.
type Pod struct {
	Name     string
	Ready    bool
	State    string // what it does or waits for, in a few words
	Restarts int32
	Problem  *Problem // nil: none is known
}

// Problem is what keeps a pod or a workload from being ready.
type Problem struct {
	Reason string // as Kubernetes names it, e.g. ImagePullBackOff
	Detail string
	Remedy string
	// Final is set if waiting is of no use.
	Final bool
}

// Worst returns the gravest problem of a workload and the pod that has it,
// "" if it is the workload's own; nil if there is none.
func (w *Workload) Worst() (pod string, p *Problem) {
	p = w.Problem
	for i := range w.Pods {
		if q := w.Pods[i].Problem; q != nil && (p == nil || q.Final && !p.Final) {
			pod, p = w.Pods[i].Name, q
		}
	}
	return pod, p
}

// componentLabel names the component that an object belongs to.
const componentLabel = "app.kubernetes.io/component"

// Workloads judges the snapshot, in the order of kinds and names.
func (s *Snapshot) Workloads() []Workload {
	var list []Workload
	for i := range s.Deployments {
		list = append(list, s.deployment(&s.Deployments[i]))
	}
	for i := range s.StatefulSets {
		list = append(list, s.statefulSet(&s.StatefulSets[i]))
	}
	for i := range s.DaemonSets {
		list = append(list, s.daemonSet(&s.DaemonSets[i]))
	}
	slices.SortFunc(list, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// replicas is how many pods a workload wants; the API's default is one.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

const revisionAnnotation = "deployment.kubernetes.io/revision"

func (s *Snapshot) deployment(d *appsv1.Deployment) Workload {
	w := Workload{
		Kind: "deployment", Namespace: d.Namespace, Name: d.Name, Component: d.Labels[componentLabel],
		Want: replicas(d.Spec.Replicas), Ready: min(d.Status.UpdatedReplicas, d.Status.ReadyReplicas),
	}
	current := d.Status.ObservedGeneration >= d.Generation
	st := d.Status
	w.Done = current && st.UpdatedReplicas == w.Want && st.Replicas == w.Want && st.AvailableReplicas == w.Want
	for _, c := range st.Conditions {
		if current && c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			w.Problem = creationProblem(c.Reason, c.Message)
		}
	}
	newest := s.newestReplicaSet(d)
	if !current || newest == nil {
		return w
	}
	w.Pods = s.podsOf(newest.UID, d.Spec.Selector, func(*corev1.Pod) bool { return true })
	return w
}

// newestReplicaSet returns the one of the deployment's own revision.
func (s *Snapshot) newestReplicaSet(d *appsv1.Deployment) *appsv1.ReplicaSet {
	for i := range s.ReplicaSets {
		rs := &s.ReplicaSets[i]
		if owner := metav1.GetControllerOf(rs); owner != nil && owner.UID == d.UID &&
			rs.Annotations[revisionAnnotation] == d.Annotations[revisionAnnotation] {
			return rs
		}
	}
	return nil
}

func (s *Snapshot) statefulSet(set *appsv1.StatefulSet) Workload {
	w := Workload{
		Kind: "statefulset", Namespace: set.Namespace, Name: set.Name, Component: set.Labels[componentLabel],
		Want: replicas(set.Spec.Replicas), Ready: set.Status.ReadyReplicas,
	}
	st := set.Status
	if st.ObservedGeneration < set.Generation {
		return w
	}
	w.Done = st.ReadyReplicas == w.Want && st.UpdatedReplicas == w.Want && st.Replicas == w.Want
	w.Pods = s.podsOf(set.UID, set.Spec.Selector, func(p *corev1.Pod) bool {
		return p.Labels[appsv1.ControllerRevisionHashLabelKey] == st.UpdateRevision
	})
	if !w.Done && len(w.Pods) == 0 {
		if e := s.lastWarning("StatefulSet", set.Name, "FailedCreate"); e != nil {
			w.Problem = creationProblem(e.Reason, e.Message)
		}
	}
	return w
}

// podsOf judges the pods of an owner, by name.
func (s *Snapshot) podsOf(owner types.UID, selector *metav1.LabelSelector, wanted func(*corev1.Pod) bool) []Pod {
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		match = labels.Nothing()
	}
	var pods []Pod
	for i := range s.Pods {
		p := &s.Pods[i]
		ref := metav1.GetControllerOf(p)
		if ref == nil || ref.UID != owner || !match.Matches(labels.Set(p.Labels)) || p.DeletionTimestamp != nil || !wanted(p) {
			continue
		}
		pods = append(pods, s.pod(p))
	}
	slices.SortFunc(pods, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

// lastWarning returns the newest warning about an object, of one of the
// reasons if there are any; nil if there is none.
func (s *Snapshot) lastWarning(kind, name string, reasons ...string) *corev1.Event {
	var last *corev1.Event
	for i := range s.Events {
		e := &s.Events[i]
		if e.Type != corev1.EventTypeWarning || e.InvolvedObject.Kind != kind || e.InvolvedObject.Name != name {
			continue
		}
		if len(reasons) > 0 && !slices.Contains(reasons, e.Reason) {
			continue
		}
		if last == nil || EventTime(last).Before(EventTime(e)) {
			last = e
		}
	}
	return last
}

// EventTime is when an event happened last.
func EventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
