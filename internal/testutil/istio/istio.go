package istio

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/components"
)

const (
	namespace = "istio-system"
	// readyLimit bounds the start of a pod on a busy machine.
	readyLimit = 10 * time.Minute
	// removeLimit bounds the removal, which goes on when the test is over.
	removeLimit = 10 * time.Minute
)

// Mesh is an installed Istio.
type Mesh struct {
	cluster *cluster.Cluster
	kubectl string
}

// Install installs Istio 1.31 with an ingress gateway into the cluster and
// removes it at the end of the test. An Istio that is there already is used
// as it is, and stays.
func Install(t testing.TB, c *cluster.Cluster) *Mesh {
	t.Helper()
	m := newMesh(t, c)
	istioctl := testutil.Require(t, components.Istio())
	images := testutil.Require(t, components.IstioImages())
	if m.run(t, "", "get", "deployment", "istiod", "-n", namespace, "--ignore-not-found", "-o", "name") != "" {
		return m
	}
	for _, archive := range []string{components.PilotImage, components.ProxyImage} {
		c.LoadImage(t, filepath.Join(filepath.Dir(images), archive))
	}
	manifest := generate(t, istioctl)
	t.Cleanup(func() { m.uninstall(t, manifest) })
	m.run(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n", "apply", "--server-side", "-f", "-")
	m.run(t, manifest, "apply", "--server-side", "-f", "-")
	for _, name := range []string{"istiod", "istio-ingressgateway"} {
		m.Ready(t, namespace, "deployment/"+name)
	}
	return m
}

// generate prints Istio's manifests.
func generate(t testing.TB, istioctl string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "operator.yaml")
	if err := os.WriteFile(file, []byte(operator), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), istioctl, "manifest", "generate", "-f", file,
		"--set", "hub="+components.IstioHub, "--set", "tag="+components.IstioTag)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	manifest, err := cmd.Output()
	if err != nil {
		t.Fatalf("istioctl: %v: %s", err, &complaint)
	}
	return string(manifest)
}

// uninstall removes everything that Install has made, and what istiod has
// made in other namespaces.
func (m *Mesh) uninstall(t testing.TB, manifest string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
	defer cancel()
	for _, step := range []struct {
		stdin string
		args  []string
	}{
		{manifest, []string{"delete", "--ignore-not-found", "-f", "-"}},
		{"", []string{"delete", "namespace", namespace, "--ignore-not-found"}},
		{"", []string{"delete", "configmap", "-A", "-l", "istio.io/config=true"}},
	} {
		if out, err := m.command(ctx, step.stdin, step.args...); err != nil {
			t.Errorf("uninstall Istio: %v: %s", err, out)
		}
	}
}

// Apply brings manifests into the cluster, and removes them at the end of
// the test.
func (m *Mesh) Apply(t testing.TB, manifest string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
		defer cancel()
		if out, err := m.command(ctx, manifest, "delete", "--ignore-not-found", "-f", "-"); err != nil {
			t.Errorf("remove: %v: %s", err, out)
		}
	})
	m.run(t, manifest, "apply", "--server-side", "-f", "-")
}

// Ready waits until every pod of a Deployment serves by its newest form; the
// name is as in "deployment/NAME".
func (m *Mesh) Ready(t testing.TB, namespace, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	out, err := m.command(ctx, "", "rollout", "status", name, "-n", namespace)
	if err == nil {
		return
	}
	// Whatever can be told about the reason.
	pods, _ := m.command(t.Context(), "", "get", "pods,events", "-n", namespace)
	logs, _ := m.command(t.Context(), "", "logs", name, "-n", namespace, "--all-containers", "--tail=20")
	t.Fatalf("%s in %s is not ready: %v: %s\n%s\n%s", name, namespace, err, out, pods, logs)
}

// Ingress is where this machine reaches the ingress gateway's port 80, as
// "HOST:PORT".
func (m *Mesh) Ingress(t testing.TB) string {
	t.Helper()
	return m.nodePort(t, "istio-ingressgateway", 80)
}

// nodePort is where this machine reaches a port of a service.
func (m *Mesh) nodePort(t testing.TB, service string, port int) string {
	t.Helper()
	number := m.run(t, "", "get", "service", service, "-n", namespace,
		"-o", fmt.Sprintf("jsonpath={.spec.ports[?(@.port==%d)].nodePort}", port))
	return net.JoinHostPort(m.cluster.NodeAddress(), number)
}

// run runs kubectl and ends the test if it fails.
func (m *Mesh) run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := m.command(t.Context(), stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (m *Mesh) command(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, m.kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.cluster.Kubeconfig())
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
