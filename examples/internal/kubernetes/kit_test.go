package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/images"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

// The namespaces of the guide.
const (
	cloverNamespace = "clover-system"
	jaegerNamespace = "istio-system"
	sampleNamespace = "default"
)

// limit is how long a condition of the cluster is waited for.
const limit = 2 * time.Minute

// kit is the cluster and a user in front of it, in whose home folder the
// commands are typed.
type kit struct {
	*testing.T
	cluster *cluster.Cluster
	config  *rest.Config
	http    *http.Client
	api     clientset.Interface
	home    string
	program string // cloverctl
}

// newKit returns a kit for a cluster without Clover. When the test is over
// it is without Clover again.
func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{T: t, cluster: cluster.Start(t), home: t.TempDir()}
	var err error
	k.config, err = clientcmd.BuildConfigFromFlags("", k.cluster.Kubeconfig())
	k.check(err)
	k.config.QPS = -1
	k.config.WarningHandler = rest.NoWarnings{}
	k.http, err = rest.HTTPClientFor(k.config)
	k.check(err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(k.http.Transport) })
	k.api, err = clientset.NewForConfigAndClient(k.config, k.http)
	k.check(err)
	for _, name := range []string{cloverNamespace, jaegerNamespace, clovisorNamespace} {
		if k.hasNamespace(t.Context(), name) {
			t.Fatalf("namespace %s is there already: this test installs Clover and removes it, so it needs a cluster without", name)
		}
	}
	k.isReady()
	t.Cleanup(k.cleanUp)
	k.program = cluster.Program(t, repository, "./examples/cloverctl")
	k.loadImages()
	return k
}

// isReady waits until what the cluster itself consists of runs.
func (k *kit) isReady() {
	k.Helper()
	k.eventually(func() (bool, string) {
		list, err := k.api.AppsV1().Deployments("").List(k.Context(), metav1.ListOptions{})
		k.check(err)
		for _, d := range list.Items {
			if d.Status.ReadyReplicas == 0 {
				return false, k.podStates(d.Namespace)
			}
		}
		return true, ""
	})
}

// cleanUp removes what a test that has failed has left.
func (k *kit) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*limit)
	defer cancel()
	for _, name := range []string{"clovisor", "sdc", "visibility"} {
		if a := k.runIn(ctx, "cloverctl delete system -y "+name); a.code != 0 {
			k.Errorf("clean up: %s", a.all())
		}
	}
	for _, name := range []string{"load", "scan", "ping"} {
		if err := k.api.CoreV1().Pods(sampleNamespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			k.Error(err)
		}
	}
	for _, name := range []string{cloverNamespace, jaegerNamespace, clovisorNamespace} {
		if err := k.api.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			k.Error(err)
		}
	}
	k.eventually(func() (bool, string) {
		return !k.hasNamespace(ctx, cloverNamespace) && !k.hasNamespace(ctx, jaegerNamespace) && !k.hasNamespace(ctx, clovisorNamespace), "namespaces of the test are left"
	})
}

func (k *kit) check(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *kit) hasNamespace(ctx context.Context, name string) bool {
	k.Helper()
	_, err := k.api.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		k.Fatal(err)
	}
	return err == nil
}

// loaded is set when the images are in the cluster of this process.
var loaded sync.Once

// loadImages puts the images under test, and Jaeger's, into the cluster.
func (k *kit) loadImages() {
	k.Helper()
	loaded.Do(func() {
		archives := images.Clover(k, repository, "clover-controller", "clover-collector", "clover-sdc", "clover-redis")
		for _, a := range append(archives, images.Jaeger(k), images.Prometheus(k)) {
			k.cluster.LoadImage(k, a.File)
		}
	})
}

// repository is the root of the repository, from this folder.
const repository = "../../.."

// answer is what a command has printed.
type answer struct {
	code        int
	out, errors string
}

// all is what a user sees.
func (a answer) all() string { return a.errors + a.out }

// run types a command line, which begins with cloverctl, in the user's home
// folder.
func (k *kit) run(line string) answer {
	k.Helper()
	return k.runIn(k.Context(), line)
}

func (k *kit) runIn(ctx context.Context, line string) answer {
	k.Helper()
	cmd := k.command(ctx, line)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		k.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// types types a command line that has to succeed and to say these things.
func (k *kit) types(line string, want ...string) answer {
	k.Helper()
	return k.ends(line, 0, want...)
}

// ends types a command line that has to end with this exit code and to say
// these things.
func (k *kit) ends(line string, code int, want ...string) answer {
	k.Helper()
	start := time.Now()
	a := k.run(line)
	k.Logf("$ %s    (%s)\n%s", line, time.Since(start).Round(time.Millisecond), a.all())
	if a.code != code {
		k.Fatalf("%s: exit code %d, want %d\n%s", line, a.code, code, a.all())
	}
	for _, w := range want {
		if !strings.Contains(a.all(), w) {
			k.Errorf("%s does not say %q:\n%s", line, w, a.all())
		}
	}
	return a
}

// says types a question until the answer has these things: another collector
// than the one that was told may answer.
func (k *kit) says(line string, want ...string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		a := k.run(line)
		for _, w := range want {
			if a.code != 0 || !strings.Contains(a.all(), w) {
				return false, fmt.Sprintf("%s: exit code %d, want %q:\n%s", line, a.code, w, a.all())
			}
		}
		return true, ""
	})
}

// write writes a file of the guide into the user's home folder.
func (k *kit) write(name, text string) {
	k.Helper()
	k.check(os.WriteFile(filepath.Join(k.home, name), []byte(text), 0o600))
}

// eventually waits for a condition of the cluster.
func (k *kit) eventually(condition func() (ok bool, state string)) {
	k.Helper()
	testutil.Eventually(k, limit, condition)
}
