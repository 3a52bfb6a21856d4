package istio

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/components"
)

// InstallDefinitions makes the cluster know Istio's kinds until the end of
// the test, without an Istio that heeds them. A cluster that knows them stays
// as it is.
func InstallDefinitions(t testing.TB, c *cluster.Cluster) {
	t.Helper()
	m := newMesh(t, c)
	if m.run(t, "", "get", "crd", "virtualservices.networking.istio.io", "--ignore-not-found", "-o", "name") != "" {
		return
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api").Output()
	if err != nil {
		t.Fatalf("find Istio's definitions: %v", err)
	}
	definitions, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "kubernetes", "customresourcedefinitions.gen.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m.Apply(t, string(definitions))
	m.run(t, string(definitions), "wait", "--for=condition=Established", "--timeout=60s", "-f", "-")
	// The API server opens the storage of a kind when somebody asks for it.
	// If that is the removal of the definition, it fails and is tried again
	// after pauses that grow to minutes.
	kinds := m.run(t, string(definitions), "get", "-f", "-", "-o", "jsonpath={.items[*].metadata.name}")
	testutil.Eventually(t, readyLimit, func() (bool, string) {
		out, err := m.command(t.Context(), "", "get", "-A", strings.ReplaceAll(kinds, " ", ","))
		return err == nil, out
	})
}

func newMesh(t testing.TB, c *cluster.Cluster) *Mesh {
	t.Helper()
	programs := testutil.Require(t, components.Kubernetes())
	return &Mesh{cluster: c, kubectl: filepath.Join(filepath.Dir(programs), "kubectl")}
}
