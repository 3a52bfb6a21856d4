package health

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// daemonSet judges a DaemonSet, which wants a pod on each of its nodes.
func (s *Snapshot) daemonSet(set *appsv1.DaemonSet) Workload {
	st := set.Status
	w := Workload{
		Kind: "daemonset", Namespace: set.Namespace, Name: set.Name, Component: set.Labels[componentLabel],
		Want: st.DesiredNumberScheduled, Ready: min(st.UpdatedNumberScheduled, st.NumberReady),
	}
	if st.ObservedGeneration < set.Generation {
		return w
	}
	w.Done = st.UpdatedNumberScheduled == w.Want && st.NumberReady == w.Want && st.CurrentNumberScheduled == w.Want && st.NumberMisscheduled == 0
	w.Pods = s.podsOf(set.UID, set.Spec.Selector, func(*corev1.Pod) bool { return true })
	if !w.Done && len(w.Pods) == 0 {
		if e := s.lastWarning("DaemonSet", set.Name, "FailedCreate"); e != nil {
			w.Problem = creationProblem(e.Reason, e.Message)
		}
	}
	return w
}
