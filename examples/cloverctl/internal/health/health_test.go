package health

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// snapshot is a deployment "web" with one pod, whose status is given as YAML.
func snapshot(t *testing.T, status string, events ...corev1.Event) *Snapshot {
	t.Helper()
	selector := map[string]string{"app": "web"}
	d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Name: "web", UID: "d", Generation: 2, Annotations: map[string]string{revisionAnnotation: "2"},
		Labels: map[string]string{componentLabel: "controller"},
	}}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: selector}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1}
	s := &Snapshot{Time: now, Deployments: []appsv1.Deployment{d}, Events: events}
	for _, revision := range []string{"1", "2"} {
		s.ReplicaSets = append(s.ReplicaSets, appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
			Name: "web-" + revision, UID: types.UID("rs" + revision), Annotations: map[string]string{revisionAnnotation: revision},
			OwnerReferences: owner("Deployment", "web", "d"),
		}})
	}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "web-2-x", Labels: selector, OwnerReferences: owner("ReplicaSet", "web-2", "rs2"),
		CreationTimestamp: metav1.NewTime(now.Add(-time.Minute)),
	}}
	if err := yaml.UnmarshalStrict([]byte(status), &pod.Status); err != nil {
		t.Fatal(err)
	}
	old := pod
	old.Name, old.OwnerReferences = "web-1-y", owner("ReplicaSet", "web-1", "rs1")
	old.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "web", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
	}}}
	s.Pods = []corev1.Pod{old, pod}
	return s
}

func owner(kind, name string, uid types.UID) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{Kind: kind, Name: name, UID: uid, Controller: &yes}}
}

func warning(reason, message string) corev1.Event {
	return corev1.Event{
		Type: corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: metav1.NewTime(now),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web-2-x"},
	}
}

const scheduled = "conditions: [{type: PodScheduled, status: 'True'}]\n"

func TestWhatAPodWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		status string
		events []corev1.Event
		state  string
		reason string
		detail string
		remedy string
		final  bool
	}{
		"no image": {
			status: scheduled + `containerStatuses: [{name: web, image: "opnfv/web:9", state: {waiting: {reason: ErrImagePull, message: "not found"}}}]`,
			state:  "ErrImagePull", reason: "ErrImagePull", detail: "opnfv/web:9: not found", remedy: "-t TAG", final: true,
		},
		"no image, later": {
			status: scheduled + `containerStatuses: [{name: web, image: "opnfv/web:9", state: {waiting: {reason: ImagePullBackOff, message: "Back-off"}}}]`,
			events: []corev1.Event{warning("Failed", `Failed to pull image "opnfv/web:9": no such host`)},
			state:  "ImagePullBackOff", reason: "ImagePullBackOff", detail: "no such host", final: true,
		},
		"never pulled": {
			status: scheduled + `containerStatuses: [{name: web, image: "opnfv/web:9", state: {waiting: {reason: ErrImageNeverPull}}}]`,
			state:  "ErrImageNeverPull", reason: "ErrImageNeverPull", detail: "may not be pulled", remedy: "pullPolicy=IfNotPresent", final: true,
		},
		"crash": {
			status: scheduled + `containerStatuses: [{name: web, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 2, reason: Error, message: "no\nflag"}}}]`,
			state:  "CrashLoopBackOff", reason: "CrashLoopBackOff", detail: "ended 3 times, at last: exit code 2: no flag", remedy: "logs COMPONENT --previous", final: true,
		},
		"memory": {
			status: scheduled + `containerStatuses: [{name: web, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]`,
			state:  "CrashLoopBackOff", reason: "CrashLoopBackOff", detail: "OOMKilled, exit code 137", remedy: "limits.memory", final: true,
		},
		"no node for a moment": {
			status: `conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available", lastTransitionTime: "2026-11-24T11:59:57Z"}]`,
			state:  "waits for a node: 0/1 nodes", reason: "Unschedulable",
		},
		"no node": {
			status: `conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes are available: Insufficient cpu", lastTransitionTime: "2026-11-24T11:59:40Z"}]`,
			state:  "waits for a node", reason: "Unschedulable", detail: "Insufficient cpu", remedy: "resources.requests", final: true,
		},
		"the scheduler tries again": {
			status: `conditions: [{type: PodScheduled, status: "False", reason: SchedulerError, message: "the object has been modified", lastTransitionTime: "2026-11-24T11:59:40Z"}]`,
			state:  "waits for a node", reason: "SchedulerError", detail: "modified", remedy: "tries again",
		},
		"no volume": {
			status: `conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "pod has unbound immediate PersistentVolumeClaims", lastTransitionTime: "2026-11-24T11:59:40Z"}]`,
			state:  "waits for a node", reason: "Unschedulable", remedy: "storage.class", final: true,
		},
		"no secret yet": {
			status: scheduled + `containerStatuses: [{name: web, image: "opnfv/web:9", state: {waiting: {reason: ContainerCreating}}}]`,
			events: []corev1.Event{warning("FailedMount", `secret "tls" not found`)},
			state:  "ContainerCreating: image opnfv/web:9", reason: "FailedMount", detail: `secret "tls" not found`,
		},
		"not ready": {
			status: scheduled + `containerStatuses: [{name: web, state: {running: {}}}]`,
			events: []corev1.Event{warning("Unhealthy", "Readiness probe failed: 503")},
			state:  "container web is not ready yet: Readiness probe failed: 503",
		},
		"being made": {
			status: scheduled + `containerStatuses: [{name: web, image: "opnfv/web:9", state: {waiting: {reason: ContainerCreating}}}]`,
			state:  "ContainerCreating: image opnfv/web:9",
		},
		"evicted": {
			status: "phase: Failed\nreason: Evicted\nmessage: 'The node was low on resource: ephemeral-storage.'\n" + scheduled,
			state:  "Evicted", reason: "Evicted", detail: "ephemeral-storage", remedy: "make room",
		},
	} {
		workloads := snapshot(t, c.status, c.events...).Workloads()
		if len(workloads) != 1 || workloads[0].Done || len(workloads[0].Pods) != 1 {
			t.Fatalf("%s: %+v, want one workload that is not done, with one new pod", name, workloads)
		}
		w := workloads[0]
		if got := w.Pods[0].State; !strings.HasPrefix(got, c.state) {
			t.Errorf("%s: state %q, want %q", name, got, c.state)
		}
		pod, p := w.Worst()
		if c.reason == "" {
			if p != nil {
				t.Errorf("%s: problem %+v, want none", name, p)
			}
			continue
		}
		if p == nil || pod != "web-2-x" || p.Reason != c.reason || p.Final != c.final ||
			!strings.Contains(p.Detail, c.detail) || !strings.Contains(p.Remedy, c.remedy) {
			t.Errorf("%s: problem of %q %+v, want %+v", name, pod, p, c)
		}
	}
}

func TestWhenADeploymentIsDone(t *testing.T) {
	s := snapshot(t, "conditions: [{type: PodScheduled, status: 'True'}, {type: Ready, status: 'True'}]")
	d := &s.Deployments[0]
	for name, c := range map[string]struct {
		change func(*appsv1.DeploymentStatus)
		done   bool
	}{
		"all is new and ready":       {func(*appsv1.DeploymentStatus) {}, true},
		"an old pod is left":         {func(st *appsv1.DeploymentStatus) { st.Replicas = 2 }, false},
		"the change is not yet seen": {func(st *appsv1.DeploymentStatus) { st.ObservedGeneration = 1 }, false},
		"none is available":          {func(st *appsv1.DeploymentStatus) { st.AvailableReplicas = 0 }, false},
	} {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
		c.change(&d.Status)
		if got := s.Workloads()[0].Done; got != c.done {
			t.Errorf("%s: done %v, want %v", name, got, c.done)
		}
	}
}

func TestPodsThatAreRefused(t *testing.T) {
	s := snapshot(t, scheduled)
	s.Pods = nil
	d := &s.Deployments[0]
	d.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate",
		Message: `pods "web" is forbidden: exceeded quota: small`,
	}}
	w := s.Workloads()[0]
	if _, p := w.Worst(); p == nil || !p.Final || !strings.Contains(p.Remedy, "ResourceQuota") {
		t.Errorf("%+v, want a final problem with the quota", p)
	}
}

func TestStatefulSetKeepsToItsNewRevision(t *testing.T) {
	set := appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "s"}}
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	set.Status = appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1, UpdateRevision: "new"}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "db-0", OwnerReferences: owner("StatefulSet", "db", "s"),
		Labels: map[string]string{"app": "db", appsv1.ControllerRevisionHashLabelKey: "old"},
	}}
	s := &Snapshot{Time: now, StatefulSets: []appsv1.StatefulSet{set}, Pods: []corev1.Pod{pod}}
	if w := s.Workloads()[0]; w.Done || len(w.Pods) != 0 {
		t.Errorf("done %v with %d pods while the old one runs", w.Done, len(w.Pods))
	}
	s.Pods[0].Labels[appsv1.ControllerRevisionHashLabelKey] = "new"
	s.StatefulSets[0].Status.UpdatedReplicas = 1
	if w := s.Workloads()[0]; !w.Done || len(w.Pods) != 1 {
		t.Errorf("done %v with %d pods, want the new one", w.Done, len(w.Pods))
	}
}

func TestDaemonSetWantsAPodOnEachNode(t *testing.T) {
	set := appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", UID: "d"}}
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}}
	set.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberReady: 1}
	s := &Snapshot{Time: now, DaemonSets: []appsv1.DaemonSet{set}}
	if w := s.Workloads()[0]; w.Done || w.Want != 2 || w.Ready != 1 || w.Kind != "daemonset" {
		t.Errorf("%+v with one pod of two ready", w)
	}
	s.DaemonSets[0].Status.NumberReady = 2
	if w := s.Workloads()[0]; !w.Done {
		t.Errorf("%+v with all pods ready", w)
	}
	s.DaemonSets[0].Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: 1}
	s.Events = []corev1.Event{{
		Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: "violates PodSecurity",
		InvolvedObject: corev1.ObjectReference{Kind: "DaemonSet", Name: "agent"},
	}}
	if w := s.Workloads()[0]; w.Done || w.Problem == nil {
		t.Errorf("%+v where its pods are refused", w)
	}
}
