package kubernetes

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// templateHash is the label by which a Deployment tells its pods apart.
const templateHash = "pod-template-hash"

// owner returns what people call the workload of a pod: the Deployment, not
// its ReplicaSet, whose name is the Deployment's and a hash; the CronJob, not
// its Job, whose name ends in a number. So no right to read those is needed.
func owner(p *corev1.Pod) (kind, name string) {
	ref := metav1.GetControllerOf(p)
	switch {
	case ref == nil:
		return "Pod", p.Name
	case ref.Kind == "ReplicaSet":
		if name, ok := strings.CutSuffix(ref.Name, "-"+p.Labels[templateHash]); ok && name != "" {
			return "Deployment", name
		}
	case ref.Kind == "Job":
		if i := strings.LastIndexByte(ref.Name, '-'); i > 0 && len(ref.Name)-i > 7 && strings.Trim(ref.Name[i+1:], "0123456789") == "" {
			return "CronJob", ref.Name[:i]
		}
	case ref.Kind == "Node": // a static pod: its name is the workload's and the node's
		return "Pod", strings.TrimSuffix(p.Name, "-"+ref.Name)
	}
	return ref.Kind, ref.Name
}

// sidecars are the containers that encrypt for the pod they are in.
var sidecars = map[string]bool{"istio-proxy": true, "linkerd-proxy": true}

// sidecar returns the name of a pod's proxy, "" if it has none.
func sidecar(p *corev1.Pod) string {
	for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range list {
			if sidecars[list[i].Name] {
				return list[i].Name
			}
		}
	}
	return ""
}
