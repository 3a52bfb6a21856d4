package locate

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// NotReadyError says that no pod takes requests.
type NotReadyError struct{ Namespace, Service string }

func (e *NotReadyError) Error() string {
	return fmt.Sprintf("no pod of service %s in namespace %s is ready\nSee why with 'cloverctl status', or wait with 'cloverctl status --wait'.", e.Service, e.Namespace)
}

// forwarder connects to a pod behind a service through the API server. Each
// connection chooses anew, so that a pod that was replaced is found.
type forwarder struct {
	cluster *kube.Cluster
	service *corev1.Service
}

// dial is http.Transport's DialContext.
func (f *forwarder) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s := f.service
	pods, err := f.cluster.Typed().CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(s.Spec.Selector).String(),
	})
	if err != nil {
		return nil, kube.Explain(err)
	}
	pod := readyPod(pods.Items)
	if pod == nil {
		return nil, &NotReadyError{Namespace: s.Namespace, Service: s.Name}
	}
	port, err := targetPort(s, pod)
	if err != nil {
		return nil, err
	}
	conn, err := f.cluster.DialPod(ctx, s.Namespace, pod.Name, port)
	return conn, kube.Explain(err)
}

// readyPod returns a pod that takes requests; nil if there is none.
func readyPod(pods []corev1.Pod) *corev1.Pod {
	for i := range pods {
		if pods[i].DeletionTimestamp != nil {
			continue
		}
		for _, c := range pods[i].Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return &pods[i]
			}
		}
	}
	return nil
}

// targetPort returns the port of the pod that stands behind the service's
// port of REST.
func targetPort(s *corev1.Service, pod *corev1.Pod) (int32, error) {
	for _, p := range s.Spec.Ports {
		if !isREST(&p) {
			continue
		}
		if p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal != 0 {
			return p.TargetPort.IntVal, nil
		}
		for _, c := range pod.Spec.Containers {
			for _, port := range c.Ports {
				if port.Name == p.TargetPort.StrVal {
					return port.ContainerPort, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("service %s/%s has no port of REST (80)", s.Namespace, s.Name)
}
