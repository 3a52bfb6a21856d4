package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/examples/cloverctl/internal/command"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/internal/testutil/images"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

// testTag is the tag of the images under test.
const testTag = images.Tag

// kit is a namespace of its own in the test cluster, for an install.
type kit struct {
	*testing.T
	cluster   *cluster.Cluster
	api       kubernetes.Interface
	namespace string
	home      string
}

// newKit returns a kit whose namespace is not there yet, and sees to it that
// nothing is left after the test.
func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{T: t, cluster: cluster.Start(t), namespace: "clover-" + strings.ToLower(rand.Text()[:8]), home: t.TempDir()}
	config, err := clientcmd.BuildConfigFromFlags("", k.cluster.Kubeconfig())
	k.check(err)
	client, err := rest.HTTPClientFor(config)
	k.check(err)
	k.api, err = kubernetes.NewForConfigAndClient(config, client)
	k.check(err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(client.Transport) })
	k.moveHome()
	t.Setenv("CLOVER_CONTROLLER", "")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
		defer cancel()
		var out bytes.Buffer
		for _, name := range []string{"visibility", "datastore", "sdc"} {
			k.runWith(ctx, "", &out, &out, "delete", "system", name)
		}
		err := k.api.CoreV1().Namespaces().Delete(ctx, k.namespace, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	return k
}

// moveHome gives cloverctl a home folder of its own. What builds images and
// clusters keeps its caches.
func (k *kit) moveHome() {
	k.Helper()
	cache, err := components.CacheDir()
	k.check(err)
	k.Setenv("CLOVER_CACHE", cache)
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE").Output()
	k.check(err)
	caches := map[string]string{}
	k.check(json.Unmarshal(out, &caches))
	for name, folder := range caches {
		k.Setenv(name, folder)
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		k.Setenv(name, k.home)
	}
}

// in is the same kit for a subtest.
func (k *kit) in(t *testing.T) *kit {
	sub := *k
	sub.T = t
	return &sub
}

func (k *kit) check(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *kit) runWith(ctx context.Context, stdin string, out, errs io.Writer, args ...string) int {
	args = append(args, "--kubeconfig", k.cluster.Kubeconfig(), "-n", k.namespace)
	return command.Run(ctx, args, command.Streams{In: strings.NewReader(stdin), Out: out, Err: errs})
}

// run runs a command line on the kit's namespace.
func (k *kit) run(line string) (code int, out, errs string) {
	k.Helper()
	var stdout, stderr bytes.Buffer
	code = k.runWith(k.Context(), "", &stdout, &stderr, strings.Fields(line)...)
	return code, stdout.String(), stderr.String()
}

// must runs a command line that has to succeed and say these things.
func (k *kit) must(line string, want ...string) string {
	k.Helper()
	return k.expect(line, 0, want...)
}

// expect runs a command line that has to end with that code and say these
// things, and returns all that it has said.
func (k *kit) expect(line string, code int, want ...string) string {
	k.Helper()
	got, out, errs := k.run(line)
	if got != code {
		k.Fatalf("%s: exit %d, want %d\n%s%s", line, got, code, out, errs)
	}
	for _, w := range want {
		if !strings.Contains(out+errs, w) {
			k.Errorf("%s: want %q in\n%s%s", line, w, out, errs)
		}
	}
	return out + errs
}

// namespaceIsThere reports whether the kit's namespace exists.
func (k *kit) namespaceIsThere() bool {
	k.Helper()
	_, err := k.api.CoreV1().Namespaces().Get(k.Context(), k.namespace, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		k.Fatal(err)
	}
	return err == nil
}

// loaded is set when the images under test are in the cluster.
var loaded bool

// load builds the images under test and puts them into the cluster, once.
func (k *kit) load() {
	k.Helper()
	if loaded {
		return
	}
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
	for _, a := range images.Clover(k, root, "clover-controller", "clover-collector") {
		k.cluster.LoadImage(k, a.File)
	}
	loaded = true
}

// eventually waits for a condition of the cluster.
func (k *kit) eventually(limit time.Duration, condition func() (bool, string)) {
	k.Helper()
	testutil.Eventually(k, limit, condition)
}
