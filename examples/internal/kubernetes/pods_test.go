package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/opnfv/clover/examples/internal/sdc/load"
	"github.com/opnfv/clover/internal/testutil/images"
)

// image names an image of package images.
func image(name string) string { return images.Registry + "/" + name + ":" + images.Tag }

// startJaeger runs Jaeger where Istio has it: behind the service tracing in
// istio-system. It waits until Jaeger is ready.
func (k *kit) startJaeger() {
	k.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: jaegerNamespace}}
	_, err := k.api.CoreV1().Namespaces().Create(k.Context(), ns, metav1.CreateOptions{})
	k.check(err)
	labels := map[string]string{"app": "jaeger"}
	_, err = k.api.CoreV1().Services(jaegerNamespace).Create(k.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "tracing"},
		Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{
			{Name: "http-query", Port: 80, TargetPort: intstr.FromInt32(16686)}, {Name: "otlp", Port: 4317},
		}},
	}, metav1.CreateOptions{})
	k.check(err)
	_, err = k.api.AppsV1().Deployments(jaegerNamespace).Create(k.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "jaeger"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "jaeger", Image: image("jaeger"),
					Env: []corev1.EnvVar{{Name: "OTEL_TRACES_SAMPLER", Value: "always_off"}}, // of Jaeger itself
					ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
						HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(14269)},
					}},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	k.check(err)
	k.awaitDeployment("jaeger")
}

// awaitDeployment waits until a pod beside Jaeger is ready.
func (k *kit) awaitDeployment(name string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		d, err := k.api.AppsV1().Deployments(jaegerNamespace).Get(k.Context(), name, metav1.GetOptions{})
		k.check(err)
		return d.Status.ReadyReplicas == 1, fmt.Sprintf("%s: %+v\n%s", name, d.Status, k.podStates(jaegerNamespace))
	})
}

// podStates says how the pods of a namespace are.
func (k *kit) podStates(namespace string) string {
	k.Helper()
	pods, err := k.api.CoreV1().Pods(namespace).List(k.Context(), metav1.ListOptions{})
	k.check(err)
	var b strings.Builder
	for _, p := range pods.Items {
		fmt.Fprintf(&b, "%s: %s", p.Name, p.Status.Phase)
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Waiting != nil {
				fmt.Fprintf(&b, ", %s waits: %s", c.Name, c.State.Waiting.Reason)
			}
			fmt.Fprintf(&b, ", restarts %d", c.RestartCount)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// sendLoad runs the sample's load generator in front of the proxy, as a pod,
// to its end, and returns what it has counted.
func (k *kit) sendLoad(name string, args ...string) load.Tally {
	k.Helper()
	return k.sendLoadTo("http://proxy-access-control.default:9180", name, args...)
}

func (k *kit) sendLoadTo(url, name string, args ...string) load.Tally {
	k.Helper()
	pods := k.api.CoreV1().Pods(sampleNamespace)
	_, err := pods.Create(k.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "load", Image: image("clover-sdc"),
				Args: append([]string{"load", "--url", url, "--timeout", "30s"}, args...),
			}},
		},
	}, metav1.CreateOptions{})
	k.check(err)
	k.eventually(func() (bool, string) {
		p, err := pods.Get(k.Context(), name, metav1.GetOptions{})
		k.check(err)
		if p.Status.Phase == corev1.PodFailed {
			log, _ := pods.GetLogs(name, &corev1.PodLogOptions{}).DoRaw(k.Context())
			k.Fatalf("the load has failed: %s", log)
		}
		return p.Status.Phase == corev1.PodSucceeded, k.podStates(sampleNamespace)
	})
	log, err := pods.GetLogs(name, &corev1.PodLogOptions{}).DoRaw(k.Context())
	k.check(err)
	var tally load.Tally
	k.check(json.Unmarshal(log, &tally))
	k.check(pods.Delete(k.Context(), name, metav1.DeleteOptions{}))
	return tally
}

// startPrometheus runs Prometheus where Istio has it. It waits until it is
// ready.
func (k *kit) startPrometheus() {
	k.Helper()
	labels := map[string]string{"app": "prometheus"}
	_, err := k.api.CoreV1().Services(jaegerNamespace).Create(k.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 9090}}},
	}, metav1.CreateOptions{})
	k.check(err)
	_, err = k.api.AppsV1().Deployments(jaegerNamespace).Create(k.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data"}}, SecurityContext: &corev1.PodSecurityContext{FSGroup: new(int64(65532))}, Containers: []corev1.Container{{
					Name: "prometheus", Image: image("prometheus"),
					Args:         []string{"--config.file=/dev/null", "--storage.tsdb.path=/data"},
					VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
					ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
						HTTPGet: &corev1.HTTPGetAction{Path: "/-/ready", Port: intstr.FromInt32(9090)},
					}},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	k.check(err)
	k.awaitDeployment("prometheus")
}

// answers waits until the controller answers with the collector's status.
func (k *kit) answers() {
	k.Helper()
	k.eventually(func() (bool, string) {
		a := k.run("cloverctl get visibility status")
		return a.code == 0, a.all()
	})
}

// replaced deletes a pod at once and waits until another is ready.
func (k *kit) replaced(namespace, selector string) {
	k.Helper()
	now := int64(0)
	old := k.pod(namespace, selector)
	k.check(k.api.CoreV1().Pods(namespace).Delete(k.Context(), old.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	k.eventually(func() (bool, string) {
		pods, err := k.api.CoreV1().Pods(namespace).List(k.Context(), metav1.ListOptions{LabelSelector: selector})
		k.check(err)
		if len(pods.Items) != 1 || pods.Items[0].UID == old.UID || len(pods.Items[0].Status.ContainerStatuses) != 1 {
			return false, k.podStates(namespace)
		}
		return pods.Items[0].Status.ContainerStatuses[0].Ready, k.podStates(namespace)
	})
}

// pod returns the one pod that a selector chooses.
func (k *kit) pod(namespace, selector string) *corev1.Pod {
	k.Helper()
	pods, err := k.api.CoreV1().Pods(namespace).List(k.Context(), metav1.ListOptions{LabelSelector: selector})
	k.check(err)
	if len(pods.Items) != 1 {
		k.Fatalf("%d pods of %s, want 1:\n%s", len(pods.Items), selector, k.podStates(namespace))
	}
	return &pods.Items[0]
}
