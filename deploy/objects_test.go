package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/opnfv/clover/deploy/images"
)

// workload is a pod template and how often it runs.
type workload struct {
	name, namespace string
	replicas        int32
	selector        *metav1.LabelSelector
	pod             corev1.PodTemplateSpec
}

// convert reads an object as its type; a field that the type has not got ends
// the test.
func convert(t *testing.T, u *unstructured.Unstructured, into any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, into, true); err != nil {
		t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
}

// workloads are the Deployments, StatefulSets and DaemonSets among the objects.
func workloads(t *testing.T, objects []*unstructured.Unstructured) []workload {
	t.Helper()
	var out []workload
	for _, u := range objects {
		switch u.GetKind() {
		case "Deployment":
			var d appsv1.Deployment
			convert(t, u, &d)
			out = append(out, workload{d.Name, d.Namespace, *d.Spec.Replicas, d.Spec.Selector, d.Spec.Template})
		case "StatefulSet":
			var s appsv1.StatefulSet
			convert(t, u, &s)
			out = append(out, workload{s.Name, s.Namespace, *s.Spec.Replicas, s.Spec.Selector, s.Spec.Template})
		case "DaemonSet":
			var d appsv1.DaemonSet
			convert(t, u, &d)
			out = append(out, workload{d.Name, d.Namespace, 1, d.Spec.Selector, d.Spec.Template})
		}
	}
	if len(out) == 0 {
		t.Fatal("no workloads")
	}
	return out
}

// TestPodsAreRestricted holds every pod to the restricted Pod Security
// Standard, and to what Clover asks of a pod besides.
func TestPodsAreRestricted(t *testing.T) {
	for _, w := range workloads(t, append(everything(t), scaled(t, "", 3)...)) {
		spec := w.pod.Spec
		if s := spec.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: pod security %+v", w.name, s)
		}
		if spec.HostNetwork || spec.HostPID || spec.HostIPC || len(spec.InitContainers) > 0 {
			t.Errorf("%s uses the host, or has init containers that this test does not look at", w.name)
		}
		for _, v := range spec.Volumes {
			if v.EmptyDir == nil && v.Secret == nil && v.PersistentVolumeClaim == nil {
				t.Errorf("%s: volume %s is neither empty nor a secret nor claimed", w.name, v.Name)
			}
		}
		if spec.ServiceAccountName == "" || spec.TerminationGracePeriodSeconds == nil {
			t.Errorf("%s: account %q, grace %v", w.name, spec.ServiceAccountName, spec.TerminationGracePeriodSeconds)
		}
		for _, c := range spec.Containers {
			checkContainer(t, w.name, c)
		}
	}
}

// TestOnlySuricataIsRoot holds that real engines make one pod root, with the
// rights to read packets and no others.
func TestOnlySuricataIsRoot(t *testing.T) {
	for _, w := range workloads(t, render(t, Options{Components: []string{"sdc"}, Values: tree{"sdc": real}})) {
		c := w.pod.Spec.Containers[0]
		if w.name != "snort-ids" {
			checkContainer(t, w.name, c)
			continue
		}
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
			!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || !slices.Equal(s.Capabilities.Add, []corev1.Capability{"NET_ADMIN", "NET_RAW"}) {
			t.Errorf("%s: container security %+v", w.name, s)
		}
	}
	_, err := Render(t.Context(), Options{Components: []string{"sdc"}, Values: tree{"sdc": tree{"engine": "real"}}})
	if err == nil || !strings.Contains(err.Error(), "sdc.suricata.image: ") {
		t.Errorf("no image with Suricata: %v", err)
	}
}

func checkContainer(t *testing.T, name string, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
		!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s: container security %+v", name, s)
	}
	if c.LivenessProbe == nil || c.ReadinessProbe == nil || c.StartupProbe == nil {
		t.Errorf("%s has not got all probes", name)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s: resources %+v", name, c.Resources)
	}
	for _, p := range c.Ports {
		if p.HostPort != 0 || p.ContainerPort < 1024 {
			t.Errorf("%s: port %+v", name, p)
		}
	}
	limit := c.Resources.Limits.Memory().Value()
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			q := resource.MustParse(strings.TrimSuffix(e.Value, "B"))
			if share := float64(q.Value()) / float64(limit); share < 0.85 || share > 0.95 {
				t.Errorf("%s: GOMEMLIMIT %s is %.2f of the limit", name, e.Value, share)
			}
		}
	}
}

// TestWholeInstallIsSmall sums up what all components together ask for.
func TestWholeInstallIsSmall(t *testing.T) {
	var sum resource.Quantity
	for _, w := range workloads(t, everything(t)) {
		if strings.HasPrefix(w.name, "clover-jmeter-") {
			continue // four JVMs
		}
		for range w.replicas {
			for _, c := range w.pod.Spec.Containers {
				sum.Add(*c.Resources.Requests.Memory())
			}
		}
	}
	if limit := resource.MustParse("512Mi"); sum.Cmp(limit) > 0 {
		t.Errorf("requests of memory: %s, want at most %s", &sum, &limit)
	}
	t.Logf("requests of memory: %s", &sum)
}

// TestImagesAreBuilt holds that each image of the chart, also of its tests,
// is one that package images builds, with a tag that says which.
func TestImagesAreBuilt(t *testing.T) {
	built := map[string]bool{}
	for _, i := range images.All() {
		built["team/"+i.Name+":7"] = false
	}
	objects := render(t, Options{Components: []string{"visibility", "cassandra", "spark", "datastore", "sdc", "clovisor", "validation"}, Registry: "team", Tag: "7"})
	objects = append(objects, render(t, Options{Components: []string{"sdc"}, Registry: "team", Tag: "7", Values: tree{"sdc": real}})...)
	for _, w := range workloads(t, objects) {
		for _, c := range w.pod.Spec.Containers {
			if c.Image == "team/suricata:7" {
				continue // which the caller has named
			}
			if _, ok := built[c.Image]; !ok || c.ImagePullPolicy != corev1.PullIfNotPresent {
				t.Errorf("%s: image %s (%s) is none of %v", w.name, c.Image, c.ImagePullPolicy, slices.Sorted(maps.Keys(built)))
			}
			built[c.Image] = true
			for _, a := range c.Args {
				if image, ok := strings.CutPrefix(a, "--pods="); ok {
					built[image] = true
				}
			}
		}
	}
	test, err := files.ReadFile("chart/templates/tests/ask.yaml")
	if err != nil || !strings.Contains(string(test), `"name" "cloverctl"`) {
		t.Errorf("the chart's test: %v", err)
	}
	built["team/cloverctl:7"] = true
	for image, used := range built {
		if !used {
			t.Errorf("image %s is built and not used", image)
		}
	}
	for _, w := range workloads(t, everything(t)) {
		for _, c := range w.pod.Spec.Containers {
			if strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
				t.Errorf("%s: image %s does not say which", w.name, c.Image)
			}
		}
	}
}

// TestWhoHasAToken holds that only the controller is given one, and what it
// may do with it.
func TestWhoHasAToken(t *testing.T) {
	for _, w := range workloads(t, append(everything(t), scaled(t, "", 3)...)) {
		given := w.pod.Spec.AutomountServiceAccountToken == nil || *w.pod.Spec.AutomountServiceAccountToken
		if given != (w.name == "clover-controller") {
			t.Errorf("%s: token %v", w.name, given)
		}
	}
	rules := map[string]string{}
	for _, u := range everything(t) {
		if u.GetKind() == "ClusterRole" {
			list, _, err := unstructured.NestedSlice(u.Object, "rules")
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				rule := r.(tree)
				for _, res := range rule["resources"].([]any) {
					for _, verb := range rule["verbs"].([]any) {
						rules[u.GetName()] += verb.(string) + " " + res.(string) + ", "
					}
				}
			}
		}
	}
	want := map[string]string{
		"clover-controller": "create tokenreviews, create subjectaccessreviews, get services, ",
		"clover-operator":   "get ids, update ids, delete ids, get loadbalancers, update loadbalancers, get loadtests, update loadtests, get pipelines, update pipelines, delete pipelines, get providers, update providers, delete providers, get visibility, update visibility, delete visibility, ",
		"clover-reader":     "get ids, get loadbalancers, get loadtests, get pipelines, get providers, get visibility, ",
	}
	if !maps.Equal(rules, want) {
		t.Errorf("%v, want %v", rules, want)
	}
}

// selects reports whether a selector selects pods of a workload.
func (w workload) selects(t *testing.T, namespace string, s *metav1.LabelSelector) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return w.namespace == namespace && selector.Matches(labels.Set(w.pod.Labels))
}

// TestObjectsFitTogether holds that services, policies and budgets select
// pods that are there, and that the ports that they name are open.
func TestObjectsFitTogether(t *testing.T) {
	fitTogether(t, everything(t))
	fitTogether(t, scaled(t, "", 3))
}

func fitTogether(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	all := workloads(t, objects)
	for i, w := range all {
		for j, other := range all {
			if other.selects(t, w.namespace, w.selector) != (i == j) {
				t.Errorf("the selector of %s and the pods of %s", w.name, other.name)
			}
		}
	}
	for _, u := range objects {
		var selector *metav1.LabelSelector
		var ports []intstr.IntOrString
		switch u.GetKind() {
		case "Service":
			var s corev1.Service
			convert(t, u, &s)
			selector = &metav1.LabelSelector{MatchLabels: s.Spec.Selector}
			for _, p := range s.Spec.Ports {
				ports = append(ports, p.TargetPort)
			}
		case "PodDisruptionBudget":
			var p policyv1.PodDisruptionBudget
			convert(t, u, &p)
			selector = p.Spec.Selector
		case "NetworkPolicy":
			var p networkingv1.NetworkPolicy
			convert(t, u, &p)
			selector = &p.Spec.PodSelector
			for _, rule := range p.Spec.Ingress {
				for _, port := range rule.Ports {
					if port.Port.Type == intstr.String {
						ports = append(ports, *port.Port)
					}
				}
			}
		default:
			continue
		}
		var selected []workload
		for _, w := range all {
			if w.selects(t, u.GetNamespace(), selector) {
				selected = append(selected, w)
			}
		}
		if len(selected) == 0 {
			t.Errorf("%s %s/%s selects nothing", u.GetKind(), u.GetNamespace(), u.GetName())
		}
		for _, w := range selected {
			for _, p := range ports {
				if !w.listens(p) {
					t.Errorf("%s %s: %s does not listen on %s", u.GetKind(), u.GetName(), w.name, p.String())
				}
			}
		}
	}
}

// listens reports whether a container says that it listens on a port.
func (w workload) listens(port intstr.IntOrString) bool {
	for _, c := range w.pod.Spec.Containers {
		if slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == port.StrVal && port.Type == intstr.String || p.ContainerPort == port.IntVal && port.Type == intstr.Int
		}) {
			return true
		}
	}
	return false
}
