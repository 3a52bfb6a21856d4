package spinnaker

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/opnfv/clover/deploy"
)

// TestServices holds the service names and ports of the guide.
func TestServices(t *testing.T) {
	objects, err := Render(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		"minio-service": 9000, "spin-clouddriver": 7002, "spin-deck": 9000, "spin-echo": 8089, "spin-front50": 8080,
		"spin-gate": 8084, "spin-igor": 8088, "spin-orca": 8083, "spin-redis": 6379, "spin-rosco": 8087, "spin-mysql": 3306,
	}
	got := map[string]int64{}
	for _, u := range objects {
		if u.GetKind() == "Service" {
			ports, _, err := unstructured.NestedSlice(u.Object, "spec", "ports")
			if err != nil || len(ports) != 1 {
				t.Fatal(u.GetName(), err)
			}
			got[u.GetName()], _ = ports[0].(map[string]any)["port"].(int64)
		}
		if u.GetKind() != "Namespace" && u.GetKind() != "ClusterRoleBinding" && u.GetNamespace() != "spinnaker" {
			t.Errorf("%s %s is in namespace %q", u.GetKind(), u.GetName(), u.GetNamespace())
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestKustomize holds that kubectl apply -k applies the same objects.
func TestKustomize(t *testing.T) {
	memory := filesys.MakeFsInMemory()
	names, err := resources()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, "kustomization.yaml") {
		data, err := files.ReadFile("manifests/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := memory.WriteFile(name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := memory.WriteFile("credentials.env", []byte(strings.Join(credentialKeys, "=x\n")+"=x\n")); err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, ".")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{}
	for _, r := range built.Resources() {
		object, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		want[r.GetKind()+"/"+r.GetName()] = object
	}
	objects, err := Render(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != len(want) {
		t.Errorf("%d objects, kustomize has %d", len(objects), len(want))
	}
	for _, u := range objects {
		same := want[u.GetKind()+"/"+u.GetName()]
		if same == nil {
			t.Errorf("kustomize has no %s %s", u.GetKind(), u.GetName())
			continue
		}
		k := &unstructured.Unstructured{Object: same}
		if u.GetNamespace() != k.GetNamespace() {
			t.Errorf("%s: namespace %q, kustomize has %q", u.GetName(), u.GetNamespace(), k.GetNamespace())
		}
		if u.GetKind() == "Secret" {
			continue
		}
		unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "labels", deploy.ComponentLabel)
		if got, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec"); text(t, got) != text(t, same["spec"]) {
			t.Errorf("%s %s differs:\n%s\n%s", u.GetKind(), u.GetName(), text(t, got), text(t, same["spec"]))
		}
	}
}

// text returns a value as JSON, in which numbers have one type.
func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOptions(t *testing.T) {
	old := map[string]any{"data": map[string]any{"MYSQL_ROOT": "b2xk"}}
	objects, err := Render(t.Context(), Options{Namespace: "delivery", Registry: "example.com/spin", Tag: "2026.2.0", Lookup: func(_ context.Context, _, _, ns, name string) (map[string]any, error) {
		if ns != "delivery" || name != credentials {
			t.Errorf("looked up %s/%s", ns, name)
		}
		return old, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, u := range objects {
		switch u.GetKind() {
		case "Secret":
			data, _, _ := unstructured.NestedStringMap(u.Object, "data")
			if data["MYSQL_ROOT"] != "b2xk" || len(data) != len(credentialKeys) || len(data["S3_SECRET_KEY"]) < 20 {
				t.Errorf("secret %v", slices.Collect(maps.Keys(data)))
			}
		case "Deployment":
			containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
			image, _ := containers[0].(map[string]any)["image"].(string)
			images = append(images, image)
		case "ClusterRoleBinding":
			if u.GetName() != "spin-clouddriver-delivery" {
				t.Error(u.GetName())
			}
		}
	}
	for _, image := range images {
		if !strings.HasPrefix(image, "example.com/spin/") || !strings.HasSuffix(image, ":2026.2.0") {
			t.Error(image)
		}
	}
}

// TestOptionsAreNoYAML holds that a tag or registry stays a part of a name.
func TestOptionsAreNoYAML(t *testing.T) {
	for _, o := range []Options{
		{Tag: "1\n          command: [sh]"}, {Tag: "1 # x"}, {Tag: "a:b"}, {Registry: "x\ny"}, {Registry: "{x}"}, {Registry: "https://x"},
	} {
		if _, err := Render(t.Context(), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	for _, registry := range []string{"opnfv", "localhost:5000/spin/", "example.com/a/b_c"} {
		if _, err := Render(t.Context(), Options{Registry: registry}); err != nil {
			t.Error(err)
		}
	}
}

// TestPolicyHoldsForAllPods holds that no service is left open.
func TestPolicyHoldsForAllPods(t *testing.T) {
	objects, err := Render(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var pods, closed []string
	for _, u := range objects {
		switch u.GetKind() {
		case "Deployment", "StatefulSet":
			labels, _, _ := unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels")
			pods = append(pods, labels["app.kubernetes.io/name"])
		case "NetworkPolicy":
			all, _, _ := unstructured.NestedSlice(u.Object, "spec", "podSelector", "matchExpressions")
			for _, one := range all {
				names, _, _ := unstructured.NestedStringSlice(one.(map[string]any), "values")
				closed = append(closed, names...)
			}
		}
	}
	slices.Sort(pods)
	if !slices.Equal(pods, closed) {
		t.Errorf("the policy is for\n%v, the pods are\n%v", closed, pods)
	}
}
