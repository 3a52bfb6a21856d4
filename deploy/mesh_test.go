package deploy

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/mesh"
)

// TestTheSampleInAMesh holds that the chart's resources of Istio are those
// that package mesh makes for the sample. The chart writes them too because
// helm runs no Go.
func TestTheSampleInAMesh(t *testing.T) {
	var istio []*unstructured.Unstructured
	for _, u := range everything(t) {
		if strings.Contains(u.GetAPIVersion(), "istio.io/") {
			istio = append(istio, u)
		}
	}
	objects, err := mesh.SDC(mesh.SDCOptions{}).Objects()
	if err != nil {
		t.Fatal(err)
	}
	got, want := specs(t, istio), specs(t, objects)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: the chart has\n%s\nand package mesh\n%s", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the chart has %d resources, package mesh %d", len(got), len(want))
	}
}

// specs returns what objects say, by kind, namespace and name.
func specs(t *testing.T, objects []*unstructured.Unstructured) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, u := range objects {
		text, err := yaml.Marshal(u.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		all[u.GetAPIVersion()+" "+u.GetKind()+" "+u.GetNamespace()+"/"+u.GetName()] = string(text)
	}
	return all
}
