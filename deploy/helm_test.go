package deploy

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// helm runs the real helm and returns what it printed.
func helm(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), testutil.Require(t, components.Helm()), args...)
	cmd.Env = []string{"HOME=" + dir, "HELM_CACHE_HOME=" + dir, "HELM_CONFIG_HOME=" + dir, "HELM_DATA_HOME=" + dir}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// TestHelmRendersTheSame compares what helm makes of the chart with what
// cloverctl applies.
func TestHelmRendersTheSame(t *testing.T) {
	const managedBy = "app.kubernetes.io/managed-by"
	byName := func(objects []*unstructured.Unstructured) map[string]map[string]any {
		out := map[string]map[string]any{}
		for _, u := range objects {
			labels := u.GetLabels()
			delete(labels, managedBy)
			u.SetLabels(labels)
			if pod, ok, _ := unstructured.NestedMap(u.Object, "spec", "template", "metadata", "labels"); ok {
				delete(pod, managedBy)
				if err := unstructured.SetNestedMap(u.Object, pod, "spec", "template", "metadata", "labels"); err != nil {
					t.Fatal(err)
				}
			}
			out[u.GetKind()+" "+u.GetNamespace()+"/"+u.GetName()] = u.Object
		}
		return out
	}
	printed := helm(t, "template", "clover", "chart", "--namespace", "clover-system", "--skip-tests",
		"--set", "namespace.create=true,tls.generate=false,controller.service.type=NodePort,datastore.enabled=true,sdc.enabled=true,sdc.istio.enabled=true,cassandra.enabled=true,collector.store=cassandra,collector.replicas=3")
	theirs, err := parse(map[string]string{"chart.yaml": printed})
	if err != nil {
		t.Fatal(err)
	}
	ours := render(t, Options{
		Components: []string{"visibility", "controller-nodeport", "datastore", "sdc"},
		Values: tree{
			"tls": tree{"generate": false}, "sdc": tree{"istio": tree{"enabled": true}},
			"collector": tree{"store": "cassandra", "replicas": 3},
		},
	})
	a, b := byName(theirs), byName(ours)
	if got, want := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)); !slices.Equal(got, want) {
		t.Fatalf("helm makes %v\nwe make %v", got, want)
	}
	for name, object := range a {
		if !reflect.DeepEqual(object, b[name]) {
			t.Errorf("%s differs:\n%v\n%v", name, object, b[name])
		}
	}
}

// TestHelmLint holds the chart to helm's own rules.
func TestHelmLint(t *testing.T) {
	out := helm(t, "lint", "--strict", "--with-subcharts", "chart", "--set", "sdc.enabled=true,datastore.enabled=true,cassandra.enabled=true,collector.store=cassandra")
	if !strings.Contains(out, "0 chart(s) failed") {
		t.Error(out)
	}
}

// TestHelmPackage packages the chart and renders it from the archive, with
// the test and the notes that only helm uses.
func TestHelmPackage(t *testing.T) {
	dir := t.TempDir()
	helm(t, "package", "chart", "--destination", dir, "--version", "9.8.7", "--app-version", "9.8.7")
	out := helm(t, "template", "clover", filepath.Join(dir, "clover-9.8.7.tgz"), "--namespace", "clover-system")
	for _, want := range []string{"image: opnfv/clover-controller:9.8.7", "helm.sh/hook: test", "image: opnfv/cloverctl:9.8.7"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in what helm renders", want)
		}
	}
	if strings.Contains(out, "kind: Namespace") {
		t.Error("helm makes namespaces by itself")
	}
}
