package cluster_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/components"
)

// podLimit is how long pods may take to be made, moved or ended.
const podLimit = 2 * time.Minute

// kubectl runs kubectl against the cluster and returns what it prints.
func kubectl(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	out, err := tryKubectl(t, c, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryKubectl(t *testing.T, c *cluster.Cluster, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(filepath.Dir(testutil.Require(t, components.Kubernetes())), "kubectl")
	var stderr bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// counterImage writes the image of testdata/counter as an archive.
func counterImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "counter")
	if err := components.BuildStatic(t.Context(), "cluster/testdata/counter", program); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "counter", Mode: 0o755, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "counter.tar")
	if err := tarball.WriteToFile(archive, name.MustParseReference("clover.test/counter:v1"), image); err != nil {
		t.Fatal(err)
	}
	return archive
}

// TestStatefulSet runs what Clover needs of a cluster: an image loaded into
// the node, a volume of the default storage class that a pod without root
// writes to and that outlives the pod, and a NodePort that this machine
// reaches.
func TestStatefulSet(t *testing.T) {
	c := cluster.Start(t)
	namespace := fmt.Sprintf("cluster-test-%d", os.Getpid())
	kubectl(t, c, "create", "namespace", namespace)
	t.Cleanup(func() { kubectl(t, c, "delete", "namespace", namespace, "--wait=false") })
	c.LoadImage(t, counterImage(t))
	kubectl(t, c, "--namespace", namespace, "apply", "--filename", "testdata/counter.yaml")
	port := kubectl(t, c, "--namespace", namespace, "get", "service", "counter", "--output=jsonpath={.spec.ports[0].nodePort}")
	url := fmt.Sprintf("http://%s:%s/", c.NodeAddress(), port)

	await := func(want string) {
		t.Helper()
		testutil.Eventually(t, podLimit, func() (bool, string) {
			got, err := get(url)
			if err != nil {
				pods, _ := tryKubectl(t, c, "--namespace", namespace, "describe", "pods")
				return false, err.Error() + "\n" + pods
			}
			return got == want, "the counter says " + got + ", want " + want
		})
	}
	await("1")
	kubectl(t, c, "--namespace", namespace, "delete", "pod", "counter-0")
	await("2")
}

// TestAuditLog finds what a test has done.
func TestAuditLog(t *testing.T) {
	c := cluster.Start(t)
	log := c.AuditLog(t)
	kubectl(t, c, "get", "configmaps", "--namespace", "kube-public")
	testutil.Eventually(t, podLimit, func() (bool, string) {
		data, err := os.ReadFile(log)
		if err != nil {
			return false, err.Error()
		}
		const want = `"requestURI":"/api/v1/namespaces/kube-public/configmaps?limit=500","verb":"list"`
		return bytes.Contains(data, []byte(want)), fmt.Sprintf("%d bytes without %s", len(data), want)
	})
}

// get returns the body of a page.
func get(url string) (string, error) {
	// While there is no pod, nobody answers a connection.
	dialer := net.Dialer{Timeout: time.Second}
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext},
	}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), nil
}

func TestStartGivesTheSameCluster(t *testing.T) {
	c := cluster.Start(t)
	if again := cluster.Start(t); again != c {
		t.Errorf("two clusters, %v and %v", c, again)
	}
	if got := kubectl(t, c, "get", "nodes", "--output=jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"); got != "True" {
		t.Errorf("nodes ready: %q", got)
	}
}
