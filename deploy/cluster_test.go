package deploy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	testimages "github.com/opnfv/clover/internal/testutil/images"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

// clients reach the cluster until the test ends.
type clients struct {
	typed     kubernetes.Interface
	dynamic   dynamic.Interface
	discovery *discovery.DiscoveryClient
}

// connect makes clients with which warnings of the API server go to handler.
func connect(t *testing.T, c *cluster.Cluster, handler rest.WarningHandlerWithContext) (out clients) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst, config.WarningHandlerWithContext = 100, 100, handler
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(transport.Transport) })
	if out.typed, err = kubernetes.NewForConfigAndClient(config, transport); err != nil {
		t.Fatal(err)
	}
	if out.dynamic, err = dynamic.NewForConfigAndClient(config, transport); err != nil {
		t.Fatal(err)
	}
	if out.discovery, err = discovery.NewDiscoveryClientForConfigAndClient(config, transport); err != nil {
		t.Fatal(err)
	}
	return out
}

// warnings fails a test that the API server warns.
type warnings struct{ t *testing.T }

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.t.Errorf("the API server warns: %s", text)
}

// newNamespace names a namespace of the test's own; it is deleted after it.
func newNamespace(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	name := "deploy-" + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() {
		err := client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	return name
}

// TestServerAccepts has a real API server check each object, strictly: the
// namespace is made, all else is a dry run. It holds pods to the restricted
// standard by the namespace's own labels.
func TestServerAccepts(t *testing.T) {
	client := connect(t, cluster.Start(t), warnings{t})
	groups, err := restmapper.GetAPIGroupResources(client.discovery)
	if err != nil {
		t.Fatal(err)
	}
	mapper, namespace := restmapper.NewDiscoveryRESTMapper(groups), newNamespace(t, client.typed)
	for _, o := range []Options{
		{Components: []string{"visibility", "controller-nodeport", "datastore", "spark"}, Values: tree{"controller": tree{"service": tree{"nodePort": 0}}}},
		{Components: []string{"controller", "controller-lb"}},
		{Components: []string{"visibility"}, Size: "large", Values: tree{"collector": tree{"store": "cassandra", "replicas": 3}}},
		{Components: []string{"sdc"}, Values: tree{"sdc": tree{"namespace": namespace}}},
		{Components: []string{"validation"}, Values: tree{"validation": tree{"namespace": namespace}}},
	} {
		o.Namespace, o.Lookup = namespace, ClusterLookup(client.dynamic)
		for _, u := range render(t, o) {
			kind := u.GroupVersionKind()
			mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
			if err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(u.Object)
			if err != nil {
				t.Fatal(err)
			}
			patch := metav1.PatchOptions{FieldManager: "clover-test", FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}}
			if u.GetKind() == "Namespace" {
				patch.DryRun = nil
			}
			_, err = client.dynamic.Resource(mapping.Resource).Namespace(u.GetNamespace()).Patch(t.Context(), u.GetName(), types.ApplyPatchType, data, patch)
			if err != nil {
				t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
			}
		}
	}
}

// TestInstall has the real helm install the chart with images that are built
// from this repository, test it, apply it again and remove it.
func TestInstall(t *testing.T) {
	c := cluster.Start(t)
	client := connect(t, c, rest.NoWarnings{}) // some kinds are deprecated
	for _, image := range testimages.Clover(t, "..", "clover-controller", "clover-collector", "cloverctl", "clover-redis", "clover-sdc") {
		c.LoadImage(t, image.File)
	}
	namespace, sample := newNamespace(t, client.typed), newNamespace(t, client.typed)
	on := func(namespace string, args ...string) string {
		return helm(t, append(args, "--kubeconfig", c.Kubeconfig(), "--namespace", namespace, "--timeout", "10m")...)
	}
	common := "image.tag=" + testimages.Tag + ",image.registry=" + testimages.Registry
	visibility := []string{"clover", "chart", "--wait", "--set", common + ",datastore.enabled=true,controller.service.type=NodePort,controller.service.nodePort=0"}

	start := time.Now()
	on(namespace, append([]string{"install", "--create-namespace"}, visibility...)...)
	t.Logf("visibility and Redis are ready after %s", time.Since(start).Round(100*time.Millisecond))
	start = time.Now()
	on(sample, "install", "--create-namespace", "sdc", "chart", "--wait", "--set", common+",controller.enabled=false,collector.enabled=false,sdc.enabled=true,sdc.namespace="+sample)
	t.Logf("the sample is ready after %s", time.Since(start).Round(100*time.Millisecond))

	if out := on(namespace, "test", "clover", "--logs"); !strings.Contains(out, "Succeeded") || !strings.Contains(out, "collecting") {
		t.Errorf("helm test: %s", out)
	}
	before := running(t, client.typed, namespace)
	on(namespace, append([]string{"upgrade"}, visibility...)...)
	if after := running(t, client.typed, namespace); !maps.Equal(before, after) {
		t.Errorf("applied again, pods and secrets are %v, were %v", after, before)
	}
	configure(t, c, client.typed, namespace)
	t.Run("rights", func(t *testing.T) { checkRights(t, c, namespace) })
	on(sample, "uninstall", "sdc", "--wait")
	on(namespace, "uninstall", "clover", "--wait")
	for _, ns := range []string{namespace, sample} {
		testutil.Eventually(t, time.Minute, func() (bool, string) {
			left := remains(t, client, ns)
			return len(left) == 0, strings.Join(left, ", ")
		})
	}
}

// configure names a service of the install as a source, as an operator does
// from outside of the cluster.
func configure(t *testing.T, c *cluster.Cluster, client kubernetes.Interface, namespace string) {
	t.Helper()
	service, err := client.CoreV1().Services(namespace).Get(t.Context(), "clover-controller-nodeport", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "clover-operator", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "clover-ca", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.Data["ca.crt"]))
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "clover-controller"}}
	defer transport.CloseIdleConnections()
	ask := func(source string) (int, string) {
		body := fmt.Sprintf(`{"monitoring_url":"http://%s.%s:9090"}`, source, namespace)
		url := fmt.Sprintf("https://%s:%d/api/v1/visibility/config", c.NodeAddress(), service.Spec.Ports[0].NodePort)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token.Status.Token)
		req.Header.Set("Content-Type", "application/json")
		res, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	testutil.Eventually(t, time.Minute, func() (bool, string) { // until the port of the node leads there
		code, text := ask("clover-collector")
		return code == http.StatusOK, text
	})
	if code, text := ask("prometheus"); code != http.StatusBadRequest || !strings.Contains(text, "there is no service prometheus") {
		t.Errorf("a service that is not there: %d %s", code, text)
	}
}

// running names the pods and the secrets of an install, with what changes
// when they do.
func running(t *testing.T, client kubernetes.Interface, namespace string) map[string]string {
	t.Helper()
	list := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=clover"}
	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range pods.Items {
		if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
			continue
		}
		restarts := p.Status.ContainerStatuses[0].RestartCount
		out["pod "+p.Name] = string(p.UID)
		if restarts > 0 {
			t.Errorf("%s was restarted %d times", p.Name, restarts)
		}
	}
	secrets, err := client.CoreV1().Secrets(namespace).List(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		out["secret "+s.Name] = string(s.Data["tls.crt"])
	}
	if len(out) != 6 {
		t.Errorf("want 3 pods and 3 secrets, there are %v", slices.Sorted(maps.Keys(out)))
	}
	return out
}

// remains lists what is left of Clover in a namespace, and what is
// cluster-wide for it.
func remains(t *testing.T, client clients, namespace string) []string {
	t.Helper()
	lists, err := discovery.ServerPreferredResources(client.discovery)
	if err != nil {
		return []string{err.Error()} // other tests take kinds of their own away
	}
	kept := []string{"Event", "Namespace"}
	var left []string
	for _, list := range lists {
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(kept, r.Kind) {
				continue
			}
			gv, err := schema.ParseGroupVersion(list.GroupVersion)
			if err != nil {
				t.Fatal(err)
			}
			ns := namespace
			if !r.Namespaced {
				ns = ""
			}
			found, err := client.dynamic.Resource(gv.WithResource(r.Name)).Namespace(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=clover"})
			if err != nil {
				continue // gone since, or not to be listed
			}
			for _, u := range found.Items {
				if r.Namespaced || strings.HasSuffix(u.GetName(), "-"+namespace) {
					left = append(left, u.GetKind()+" "+u.GetName())
				}
			}
		}
	}
	return left
}
