package kubernetes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/strvals"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/deploy/spinnaker"
	"github.com/opnfv/clover/examples/internal/deliver"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	secrets "github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/artifact"
	"github.com/opnfv/clover/spinnaker/spinnakertest"
)

// destination is a namespace of a cluster, with a client of any object.
type destination struct {
	*testing.T
	namespace string
	api       clientset.Interface
	objects   dynamic.Interface
	mapper    meta.RESTMapper
}

// newDestination makes a namespace that is deleted after the test. A warning of the
// API server fails the test.
func newDestination(t *testing.T) *destination {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Start(t).Kubeconfig())
	check(t, err)
	config.QPS, config.WarningHandlerWithContext = -1, failing{t}
	transport, err := rest.HTTPClientFor(config)
	check(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(transport.Transport) })
	k := &destination{T: t, namespace: "deliver-" + strings.ToLower(rand.Text()[:8])}
	k.api, err = clientset.NewForConfigAndClient(config, transport)
	check(t, err)
	k.objects, err = dynamic.NewForConfigAndClient(config, transport)
	check(t, err)
	found, err := discovery.NewDiscoveryClientForConfigAndClient(config, transport)
	check(t, err)
	k.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	_, err = k.api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: k.namespace}}, metav1.CreateOptions{})
	check(t, err)
	t.Cleanup(k.cleanUp)
	return k
}

// cleanUp ends the namespace: other tests compare what the cluster holds.
func (k *destination) cleanUp() {
	ctx, namespaces := context.Background(), k.api.CoreV1().Namespaces()
	if err := namespaces.Delete(ctx, k.namespace, metav1.DeleteOptions{}); err != nil {
		k.Error(err)
	}
	testutil.Eventually(k, limit, func() (bool, string) {
		_, err := namespaces.Get(ctx, k.namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}

// failing fails a test that the API server warns.
type failing struct{ t *testing.T }

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (f failing) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	f.t.Errorf("the API server warns: %s", text)
}

// apply applies an object by server-side apply.
func (k *destination) apply(ctx context.Context, u *unstructured.Unstructured, dryRun bool) error {
	mapping, err := k.mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = k.objects.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = k.objects.Resource(mapping.Resource).Namespace(u.GetNamespace())
	}
	o := metav1.ApplyOptions{FieldManager: "clover-test", Force: true}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	_, err = resource.Apply(ctx, u.GetName(), u, o)
	return err
}

// TestSpinnakerManifests has the API server check the manifests of Spinnaker.
func TestSpinnakerManifests(t *testing.T) {
	k := newDestination(t)
	objects, err := spinnaker.Render(t.Context(), spinnaker.Options{Namespace: k.namespace})
	check(t, err)
	for _, u := range objects {
		if err := k.apply(t.Context(), u, true); err != nil {
			t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

// TestDeliver runs the program deliver: the chart lies in a real S3 store, the
// real Helm library bakes it, and its manifests come to the real API server.
// Only Spinnaker itself is a stand-in.
func TestDeliver(t *testing.T) {
	k, store := newDestination(t), testutil.S3(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	charts, err := artifact.NewStore(artifact.StoreOptions{URL: store.URL, AccessKey: store.AccessKey, SecretKey: secrets.NewSecret(store.SecretKey), Transport: transport})
	check(t, err)
	g := httptest.NewServer(spinnakertest.NewGate(spinnakertest.GateOptions{Run: func(r spinnakertest.StageRun) ([]map[string]any, error) {
		switch r.Stage["type"] {
		case "bakeManifest":
			return bake(t.Context(), charts, r)
		case "deployManifest":
			return nil, k.deploy(t.Context(), r)
		}
		return nil, errors.New("an unknown stage")
	}}))
	t.Cleanup(g.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	t.Setenv("S3_SECRET_KEY", store.SecretKey)
	var out bytes.Buffer
	args := []string{
		"--chart", "../../deliver/chart", "--s3", store.URL, "--s3-access-key", store.AccessKey, "--gate", g.URL,
		"--release", "helm-test", "--namespace", k.namespace, "--set", "greeting=from the pipeline",
	}
	if err := deliver.Run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"Stored s3://s3-account/test-0.1.0.tgz", "Bake (Manifest): SUCCEEDED", "Deploy (Manifest): SUCCEEDED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	config, err := k.api.CoreV1().ConfigMaps(k.namespace).Get(t.Context(), "helm-test", metav1.GetOptions{})
	if err != nil || config.Data["greeting"] != "from the pipeline" {
		t.Errorf("%v, %v", config.Data, err)
	}
	testutil.Eventually(t, limit, func() (bool, string) {
		d, err := k.api.AppsV1().Deployments(k.namespace).Get(t.Context(), "helm-test", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 1, fmt.Sprintf("%+v, %v", d.Status, err)
	})
}

// bake renders as rosco does: helm template with --set of the overrides.
func bake(ctx context.Context, charts *artifact.Store, r spinnakertest.StageRun) ([]map[string]any, error) {
	inputs, _ := r.Stage["inputArtifacts"].([]any)
	input, _ := inputs[0].(map[string]any)
	reference := fmt.Sprint(r.Artifacts[fmt.Sprint(input["id"])]["reference"])
	bucket, key, _ := strings.Cut(strings.TrimPrefix(reference, "s3://"), "/")
	const most = 1 << 20
	packed, err := charts.Get(ctx, bucket, key, most)
	if err != nil {
		return nil, err
	}
	chart, err := loader.LoadArchive(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	overrides, _ := r.Stage["overrides"].(map[string]any)
	given := map[string]any{}
	for k, v := range overrides {
		if err := strvals.ParseIntoString(fmt.Sprintf("%s=%v", k, v), given); err != nil {
			return nil, err
		}
	}
	name := fmt.Sprint(r.Stage["outputName"])
	values, err := util.ToRenderValues(chart, given, common.ReleaseOptions{Name: name, Namespace: fmt.Sprint(r.Stage["namespace"]), IsInstall: true, Revision: 1}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Engine{Strict: true}.RenderWithContext(ctx, chart, values)
	if err != nil {
		return nil, err
	}
	var manifests strings.Builder
	for _, text := range rendered {
		manifests.WriteString("---\n" + text + "\n")
	}
	return []map[string]any{{
		"type": "embedded/base64", "name": name, "artifactAccount": "embedded-artifact",
		"reference": base64.StdEncoding.EncodeToString([]byte(manifests.String())),
	}}, nil
}

// deploy applies what was baked, first as the API server would, then for real.
func (k *destination) deploy(ctx context.Context, r spinnakertest.StageRun) error {
	baked := r.Artifacts[fmt.Sprint(r.Stage["manifestArtifactId"])]
	data, err := base64.StdEncoding.DecodeString(fmt.Sprint(baked["reference"]))
	if err != nil {
		return err
	}
	for _, dryRun := range []bool{true, false} {
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)+1)
		for {
			u := &unstructured.Unstructured{}
			if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
			if u.Object == nil {
				continue
			}
			u.SetNamespace(fmt.Sprint(r.Stage["namespaceOverride"]))
			if err := k.apply(ctx, u, dryRun); err != nil {
				return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
			}
		}
	}
	return nil
}
