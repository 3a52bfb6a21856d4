package validation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/images"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

const (
	cloverNamespace = "clover-system"
	namespace       = "default" // of JMeter and the sample
	repository      = "../../../.."
	limit           = 4 * time.Minute // of what is waited for
)

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

// newKit returns a kit for a cluster without Clover. When the test is over it
// is without Clover again.
func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{T: t, cluster: cluster.Start(t), home: t.TempDir()}
	var err error
	k.config, err = clientcmd.BuildConfigFromFlags("", k.cluster.Kubeconfig())
	k.check(err)
	k.config.QPS, k.config.WarningHandler = -1, rest.NoWarnings{}
	k.http, err = rest.HTTPClientFor(k.config)
	k.check(err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(k.http.Transport) })
	k.api, err = clientset.NewForConfigAndClient(k.config, k.http)
	k.check(err)
	_, err = k.api.CoreV1().Namespaces().Get(t.Context(), cloverNamespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Fatalf("namespace %s is there already: this test installs Clover and removes it, so it needs a cluster without (%v)", cloverNamespace, err)
	}
	t.Cleanup(k.cleanUp)
	k.program = cluster.Program(t, repository, "./examples/cloverctl")
	loaded.Do(func() {
		for _, a := range images.Clover(k, repository, "clover-controller", "clover-sdc", "clover-redis", "clover-jmeter-master", "clover-jmeter-slave") {
			k.cluster.LoadImage(k, a.File)
		}
	})
	return k
}

// loaded is done when the images are in the cluster of this process.
var loaded sync.Once

// cleanUp removes what a test that has failed has left.
func (k *kit) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, name := range []string{"validation", "sdc", "controller nodeport", "controller"} {
		if code, out, errs := k.run(ctx, "delete system -y "+name); code != 0 {
			k.Errorf("clean up: %s%s", errs, out)
		}
	}
}

func (k *kit) check(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// run runs cloverctl in the user's home folder.
func (k *kit) run(ctx context.Context, line string) (code int, out, errs string) {
	k.Helper()
	cmd := exec.CommandContext(ctx, k.program, strings.Fields(line)...)
	cmd.Dir = k.home
	cmd.Env = append(os.Environ(), "HOME="+k.home, "KUBECONFIG="+k.cluster.Kubeconfig())
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		k.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// types types a command line of cloverctl that has to succeed and to say these
// things. It returns what it prints.
func (k *kit) types(line string, want ...string) string {
	k.Helper()
	start := time.Now()
	code, out, errs := k.run(k.Context(), line)
	k.Logf("$ cloverctl %s    (%s)\n%s%s", line, time.Since(start).Round(time.Millisecond), errs, out)
	if code != 0 {
		k.Fatalf("cloverctl %s: exit code %d\n%s%s", line, code, errs, out)
	}
	for _, w := range want {
		if !strings.Contains(errs+out, w) {
			k.Errorf("cloverctl %s does not say %q:\n%s%s", line, w, errs, out)
		}
	}
	return out
}

// write writes a file into the user's home folder.
func (k *kit) write(name, text string) {
	k.Helper()
	k.check(os.WriteFile(filepath.Join(k.home, name), []byte(text), 0o600))
}

func (k *kit) eventually(condition func() (ok bool, state string)) {
	k.Helper()
	testutil.Eventually(k, limit, condition)
}

// pods returns the pods of an app that are not on their way out.
func (k *kit) pods(app string) []corev1.Pod {
	k.Helper()
	list, err := k.api.CoreV1().Pods(namespace).List(k.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	k.check(err)
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// kill deletes a pod at once, as a node that fails does.
func (k *kit) kill(pod string) {
	k.Helper()
	k.check(k.api.CoreV1().Pods(namespace).Delete(k.Context(), pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
}

// ready waits until n pods of an app are, and none that has these names.
func (k *kit) ready(app string, n int, not ...string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		ready := 0
		var state strings.Builder
		for _, p := range k.pods(app) {
			fmt.Fprintf(&state, "%s %s %+v\n", p.Name, p.Status.Phase, p.Status.ContainerStatuses)
			if slices.Contains(not, p.Name) || len(p.Status.ContainerStatuses) == 0 {
				return false, state.String()
			}
			if !slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return !c.Ready }) {
				ready++
			}
		}
		return ready == n, state.String()
	})
}

// served sums up what the services of the sample with that name have answered,
// by their own metrics.
func (k *kit) served(app string) int {
	k.Helper()
	sum := 0.0
	for _, p := range k.pods(app) {
		body, err := k.api.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").
			Name(p.Name + ":9181").SubResource("proxy").Suffix("metrics").DoRaw(k.Context())
		k.check(err)
		for line := range strings.Lines(string(body)) {
			if fields := strings.Fields(line); strings.HasPrefix(line, "clover_sdc_requests_total{") && len(fields) == 2 {
				value, err := strconv.ParseFloat(fields[1], 64)
				k.check(err)
				sum += value
			}
		}
	}
	return int(sum)
}

// passing are kinds whose objects Kubernetes makes and forgets by itself.
var passing = []string{"Event", "Lease", "ComponentStatus"}

// objects lists every object of the cluster, by kind, namespace and name.
func (k *kit) objects() map[string]bool {
	k.Helper()
	client, err := metadata.NewForConfigAndClient(k.config, k.http)
	k.check(err)
	lists, err := discovery.ServerPreferredResources(k.api.Discovery())
	k.check(err)
	all := map[string]bool{}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		k.check(err)
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(passing, r.Kind) {
				continue
			}
			found, err := client.Resource(group.WithResource(r.Name)).List(k.Context(), metav1.ListOptions{})
			k.check(err)
			for _, o := range found.Items {
				all[fmt.Sprintf("%s %s/%s", r.Kind, o.Namespace, o.Name)] = true
			}
		}
	}
	return all
}
