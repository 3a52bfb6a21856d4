package deploy

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// clovisorObjects renders Clovisor alone.
func clovisorObjects(t *testing.T, values tree) []*unstructured.Unstructured {
	t.Helper()
	return render(t, Options{Components: []string{"clovisor"}, Namespace: "clovisor", Values: tree{"clovisor": values}})
}

// TestClovisorIsNotPrivileged holds what the one pod that uses the node may.
func TestClovisorIsNotPrivileged(t *testing.T) {
	for inside, capabilities := range map[bool][]corev1.Capability{
		false: {"BPF", "NET_ADMIN", "PERFMON"}, true: {"BPF", "NET_ADMIN", "PERFMON", "SYS_ADMIN", "SYS_PTRACE"},
	} {
		all := workloads(t, clovisorObjects(t, tree{"insidePods": inside}))
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == "clovisor" })
		spec := all[i].pod.Spec
		if !spec.HostNetwork || !spec.HostPID || spec.HostIPC || *spec.SecurityContext.RunAsUser != 0 {
			t.Errorf("pod: %+v", spec)
		}
		for _, v := range spec.Volumes {
			if v.HostPath != nil {
				t.Errorf("volume %s is of the node", v.Name)
			}
		}
		c := spec.Containers[0]
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
			!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || !slices.Equal(s.Capabilities.Add, capabilities) {
			t.Errorf("insidePods %v: container security %+v", inside, s)
		}
		if c.LivenessProbe == nil || c.ReadinessProbe == nil || c.StartupProbe == nil || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%+v", c)
		}
	}
}

// TestClovisorIsNotOpen holds that it answers on loopback, and that nothing but
// metrics is there for others, where the operator wants it.
func TestClovisorIsNotOpen(t *testing.T) {
	for metrics, want := range map[bool][]string{
		false: {"--http-addr=127.0.0.1:9466"}, true: {"--http-addr=127.0.0.1:9466", "--metrics-addr=[$(HOST_IP)]:9466"},
	} {
		for _, w := range workloads(t, clovisorObjects(t, tree{"metrics": metrics})) {
			if w.name != "clovisor" {
				continue
			}
			var got []string
			for _, arg := range w.pod.Spec.Containers[0].Args {
				if strings.Contains(arg, "-addr=") {
					got = append(got, arg)
				}
			}
			if scraped := w.pod.Annotations["prometheus.io/scrape"] == "true"; !slices.Equal(got, want) || scraped != metrics {
				t.Errorf("metrics %t: %q, want %q; scraped %t", metrics, got, want, scraped)
			}
		}
	}
}

// TestClovisorMayOnlyRead holds the rights of its account.
func TestClovisorMayOnlyRead(t *testing.T) {
	for _, u := range clovisorObjects(t, tree{}) {
		if u.GetKind() != "ClusterRole" && u.GetKind() != "Role" {
			continue
		}
		rules, _, err := unstructured.NestedSlice(u.Object, "rules")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			for _, resource := range r.(tree)["resources"].([]any) {
				if !slices.Contains([]string{"pods", "services", "endpointslices", "namespaces"}, resource.(string)) {
					t.Errorf("it may do something with %s", resource)
				}
			}
			for _, verb := range r.(tree)["verbs"].([]any) {
				if !slices.Contains([]string{"get", "list", "watch"}, verb.(string)) {
					t.Errorf("it may %s", verb)
				}
			}
		}
	}
}

// TestClovisorLivesApart holds that it is not put where pods are restricted,
// and that its Redis asks for a password that stays.
func TestClovisorLivesApart(t *testing.T) {
	_, err := Render(t.Context(), Options{Components: []string{"clovisor", "collector"}, Namespace: "clovisor"})
	if err == nil || !strings.Contains(err.Error(), "namespace of its own") {
		t.Errorf("with the collector in one namespace: %v", err)
	}
	var passwords []string
	for range 2 {
		for _, u := range clovisorObjects(t, tree{}) {
			if u.GetKind() == "Secret" {
				password, _, err := unstructured.NestedString(u.Object, "data", "password")
				if err != nil || len(password) < 40 {
					t.Errorf("password %q, %v", password, err)
				}
				passwords = append(passwords, password)
			}
		}
	}
	if len(passwords) != 2 || passwords[0] == passwords[1] {
		t.Errorf("passwords are not made at random: %v", passwords)
	}
}
