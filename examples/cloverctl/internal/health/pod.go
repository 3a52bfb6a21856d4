package health

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// patience is how long what may pass by itself is waited for: a volume that
// is being made lets a pod be unschedulable for a moment, a Secret may come
// after the pod that mounts it.
const patience = 10 * time.Second

// pod judges one pod.
func (s *Snapshot) pod(p *corev1.Pod) Pod {
	out := Pod{Name: p.Name, State: string(p.Status.Phase)}
	ready := condition(p, corev1.PodReady)
	out.Ready = ready != nil && ready.Status == corev1.ConditionTrue
	for _, c := range p.Status.ContainerStatuses {
		out.Restarts += c.RestartCount
	}
	if out.Ready {
		out.State = "ready"
		return out
	}
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		out.State = cmp.Or(p.Status.Reason, string(p.Status.Phase))
		out.Problem = endedProblem(p)
		return out
	}
	if c := condition(p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		out.State, out.Problem = s.unscheduled(p, c)
		return out
	}
	if c := condition(p, corev1.PodScheduled); c == nil {
		out.State = "waits for a node"
		return out
	}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range statuses {
			if state, problem := s.container(p, &statuses[i]); state != "" {
				out.State, out.Problem = state, problem
				return out
			}
		}
	}
	return out
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// unscheduled says why no node takes the pod.
func (s *Snapshot) unscheduled(p *corev1.Pod, c *corev1.PodCondition) (string, *Problem) {
	problem := &Problem{
		Reason: cmp.Or(c.Reason, corev1.PodReasonUnschedulable), Detail: c.Message,
		Remedy: "Add a node or make room on one (kubectl describe nodes), or ask for less with --set COMPONENT.resources.requests",
		Final:  s.Time.Sub(c.LastTransitionTime.Time) > patience,
	}
	if c.Reason == corev1.PodReasonSchedulerError {
		// The scheduler tries again, and says nothing while a volume is made.
		problem.Final = false
		problem.Remedy = "The scheduler tries again by itself; if it stays so, 'kubectl describe pod' says more"
	}
	if strings.Contains(c.Message, "unbound immediate PersistentVolumeClaims") || strings.Contains(c.Message, "persistentvolumeclaim \"") {
		problem.Remedy = "The volume of the pod is not there: has the cluster a default storage class (kubectl get storageclass)? Choose one with --set collector.storage.class"
	}
	for i := range p.Spec.Volumes {
		claim := p.Spec.Volumes[i].PersistentVolumeClaim
		if claim == nil {
			continue
		}
		if e := s.lastWarning("PersistentVolumeClaim", claim.ClaimName, "ProvisioningFailed"); e != nil {
			problem.Detail += "; " + oneLine(e.Message)
		}
	}
	return "waits for a node: " + c.Message, problem
}

// container says what an unready container waits for; "" if it does not keep
// the pod from being ready.
func (s *Snapshot) container(p *corev1.Pod, c *corev1.ContainerStatus) (string, *Problem) {
	switch {
	case c.State.Waiting != nil:
		return s.waiting(p, c)
	case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
		return fmt.Sprintf("container %s ended: %s", c.Name, ending(c.State.Terminated)), nil
	case c.State.Running != nil && !c.Ready:
		state := fmt.Sprintf("container %s is not ready yet", c.Name)
		if e := s.lastWarning("Pod", p.Name, "Unhealthy"); e != nil {
			state += ": " + oneLine(e.Message)
		}
		return state, nil
	}
	return "", nil
}

// waiting judges a container that does not run.
func (s *Snapshot) waiting(p *corev1.Pod, c *corev1.ContainerStatus) (string, *Problem) {
	w := c.State.Waiting
	detail := oneLine(w.Message)
	switch w.Reason {
	case "ImagePullBackOff", "ErrImagePull", "RegistryUnavailable":
		if e := s.lastWarning("Pod", p.Name, "Failed"); e != nil && w.Reason == "ImagePullBackOff" && strings.Contains(e.Message, c.Image) {
			detail = oneLine(e.Message)
		}
		return w.Reason, &Problem{
			Reason: w.Reason, Detail: fmt.Sprintf("image %s: %s", c.Image, detail), Final: true,
			Remedy: "Is the name right (-r REGISTRY, -t TAG), and can the node reach the registry? Or load the image into the node",
		}
	case "ErrImageNeverPull":
		return w.Reason, &Problem{
			Reason: w.Reason, Detail: fmt.Sprintf("image %s is not on the node, and may not be pulled", c.Image), Final: true,
			Remedy: "Load the image into the node, or let it be pulled with --set image.pullPolicy=IfNotPresent",
		}
	case "InvalidImageName", "ImageInspectError":
		return w.Reason, &Problem{
			Reason: w.Reason, Detail: fmt.Sprintf("image %s: %s", c.Image, detail), Final: true,
			Remedy: "Mend the image's name: -r REGISTRY, -t TAG",
		}
	case "CrashLoopBackOff":
		return w.Reason, crash(c)
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError":
		return w.Reason, &Problem{
			Reason: w.Reason, Detail: detail, Final: s.older(p),
			Remedy: "See 'kubectl describe pod' for what is missing; 'cloverctl create' again mends what was removed",
		}
	}
	state := fmt.Sprintf("%s: image %s", cmp.Or(w.Reason, "starts"), c.Image)
	if e := s.lastWarning("Pod", p.Name, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"); e != nil {
		return state, &Problem{
			Reason: e.Reason, Detail: oneLine(e.Message),
			Remedy: "If it stays so: 'cloverctl create' again mends what was removed; 'kubectl describe pod' says more",
		}
	}
	return state, nil
}

// older reports whether a pod is too old for what passes by itself.
func (s *Snapshot) older(p *corev1.Pod) bool {
	start := p.CreationTimestamp
	if p.Status.StartTime != nil {
		start = *p.Status.StartTime
	}
	return s.Time.Sub(start.Time) > patience
}

// crash says how a container that is started again and again has ended.
func crash(c *corev1.ContainerStatus) *Problem {
	p := &Problem{
		Reason: "CrashLoopBackOff", Detail: fmt.Sprintf("container %s has ended %d times", c.Name, c.RestartCount+1), Final: true,
		Remedy: "See why with 'cloverctl logs COMPONENT --previous'",
	}
	last := c.LastTerminationState.Terminated
	if last == nil {
		return p
	}
	p.Detail += ", at last: " + ending(last)
	if last.Reason == "OOMKilled" {
		p.Remedy = "Give it more memory: --set COMPONENT.resources.limits.memory=…"
	}
	return p
}

func ending(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		text = t.Reason + ", " + text
	}
	if t.Message != "" {
		text += ": " + oneLine(t.Message)
	}
	return text
}

// endedProblem is that of a pod that will not run again; its owner makes
// another.
func endedProblem(p *corev1.Pod) *Problem {
	if p.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	problem := &Problem{Reason: cmp.Or(p.Status.Reason, "Failed"), Detail: oneLine(p.Status.Message)}
	if p.Status.Reason == "Evicted" {
		problem.Remedy = "The node had too little disk or memory: make room on it; another pod is made by itself"
	}
	return problem
}

// creationProblem is that of a workload whose pods are refused.
func creationProblem(reason, message string) *Problem {
	p := &Problem{Reason: reason, Detail: oneLine(message), Final: true, Remedy: "Change what refuses the pod, then 'cloverctl create' again"}
	switch {
	case strings.Contains(message, "exceeded quota"):
		p.Remedy = "Raise the ResourceQuota of the namespace, or ask for less with --set COMPONENT.resources.requests"
	case strings.Contains(message, "PodSecurity"):
		p.Remedy = "The namespace's Pod Security level refuses the pod: see the labels pod-security.kubernetes.io/* of the namespace"
	case strings.Contains(message, "webhook"):
		p.Remedy = "An admission webhook refuses the pod or does not answer: see 'kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations'"
	}
	return p
}

// maxDetail bounds what a problem says.
const maxDetail = 400

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxDetail {
		return string(r[:maxDetail-1]) + "…"
	}
	return s
}
