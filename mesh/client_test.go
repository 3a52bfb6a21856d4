package mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/istio"
)

// configOf is how the cluster is reached. Its connections are closed at the
// end of the test.
func configOf(t *testing.T, c *cluster.Cluster) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(transport) })
	return config
}

func clientOf(t *testing.T, c *cluster.Cluster, o Options) *Client {
	t.Helper()
	client, err := New(configOf(t, c), o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// sampleNamespace makes a namespace with the services of the SDC sample.
func sampleNamespace(t *testing.T, client *Client) string {
	t.Helper()
	ctx := t.Context()
	space, err := client.core.Namespaces().Create(ctx, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "clover-mesh-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.core.Namespaces().Delete(context.WithoutCancel(ctx), space.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	for _, s := range sdcServices() {
		name, _, _ := strings.Cut(s.Host, ".")
		service := &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, port := range s.Ports {
			service.Spec.Ports = append(service.Spec.Ports, v1.ServicePort{Name: fmt.Sprintf("tcp-%d", port), Port: int32(port)})
		}
		if _, err := client.core.Services(space.Name).Create(ctx, service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return space.Name
}

// actions lists what happened, without the names.
func actions(results []Result) string {
	var list []string
	for _, r := range results {
		list = append(list, string(r.Action))
	}
	return strings.Join(list, " ")
}

// TestAPIServer works on a real API server that knows Istio's kinds; no
// istiod is needed.
func TestAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	c := cluster.Start(t)
	client := clientOf(t, c, Options{})
	if _, err := client.Known(t.Context()); err != nil {
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "list gateways: ") || !strings.Contains(err.Error(), "install Istio") {
			t.Errorf("without Istio's kinds: %v", err)
		}
	}
	istio.InstallDefinitions(t, c)
	t.Run("life", func(t *testing.T) { testLife(t, client) })
	t.Run("nothing half applied", func(t *testing.T) { testRefused(t, client) })
	t.Run("another manager", func(t *testing.T) { testConflict(t, c, client) })
	t.Run("no permission", func(t *testing.T) { testForbidden(t, c) })
	t.Run("no istiod", func(t *testing.T) {
		absent := clientOf(t, c, Options{IstioNamespace: "clover-no-istio"})
		if _, err := absent.Wait(t.Context(), Set{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "app=istiod in namespace clover-no-istio") {
			t.Errorf("error is %v", err)
		}
	})
}

func testLife(t *testing.T, client *Client) {
	ctx := t.Context()
	namespace := sampleNamespace(t, client)
	set := SDC(SDCOptions{Namespace: namespace})
	differences, err := client.Diff(ctx, set)
	if err != nil || len(differences) != 4 || differences[0].String() != "Gateway "+namespace+"/sdc-gateway: will be created" {
		t.Errorf("before: %v, %v", differences, err)
	}
	for _, want := range []string{"created created created created", "unchanged unchanged unchanged unchanged"} {
		results, err := client.Apply(ctx, set)
		if err != nil || actions(results) != want {
			t.Fatalf("apply: %v, %v, want %s", results, err, want)
		}
	}
	found, err := client.Get(ctx, set)
	if err != nil {
		t.Fatal(err)
	}
	got, err := found.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := set.YAML(); err != nil || string(got) != string(want) {
		t.Errorf("read back %s\nwant %s", got, want)
	}
	canary := SDC(SDCOptions{Namespace: namespace, Versions: map[string]int{"http-lb-v1": 90, "http-lb-v2": 10}})
	differences, err = client.Diff(ctx, canary)
	if err != nil || len(differences) != 2 || differences[0].String() != "VirtualService "+namespace+"/http-lb: spec.http[0].route[0].weight: 50 -> 90" {
		t.Errorf("difference: %v, %v", differences, err)
	}
	if results, err := client.Apply(ctx, canary); err != nil || actions(results) != "unchanged unchanged unchanged configured" {
		t.Errorf("apply: %v, %v", results, err)
	}
	for _, want := range []string{"deleted deleted deleted deleted", "absent absent absent absent"} {
		if results, err := client.Delete(ctx, set); err != nil || actions(results) != want {
			t.Errorf("delete: %v, %v, want %s", results, err, want)
		}
	}
	if found, err := client.Get(ctx, set); err != nil || len(found.entries()) != 0 {
		t.Errorf("after deletion: %+v, %v", found, err)
	}
}

// testRefused holds that nothing is changed if one resource is wrong, for
// Clover's checks or for the API server's.
func testRefused(t *testing.T, client *Client) {
	ctx := t.Context()
	namespace := sampleNamespace(t, client)
	wrong := SDC(SDCOptions{Namespace: namespace})
	wrong.VirtualServices[0].Spec.Http[0].Route[0].Destination.Port.Number = 9181
	if _, err := client.Apply(ctx, wrong); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), "has no port 9181, it has 9180, 50054") {
		t.Errorf("a port that is not there: %v", err)
	}
	refused := SDC(SDCOptions{Namespace: namespace})
	refused.VirtualServices[1].Spec.Http[0].Timeout = durationpb.New(time.Microsecond)
	if _, err := client.Apply(ctx, refused); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), "check VirtualService "+namespace+"/http-lb: ") {
		t.Errorf("what the API server refuses: %v", err)
	}
	if found, err := client.Get(ctx, refused); err != nil || len(found.entries()) != 0 {
		t.Errorf("something was applied: %+v, %v", found, err)
	}
	nowhere := Tracing("clover-not-there", "envoy", 100)
	if _, err := client.Apply(ctx, nowhere); err == nil || !strings.Contains(err.Error(), "check Telemetry clover-not-there/clover-tracing: ") {
		t.Errorf("a namespace that is not there: %v", err)
	}
	if _, err := client.Apply(ctx, Tracing(namespace, "nobody", 100)); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), `no extension provider "nobody"`) {
		t.Errorf("a provider that is not there: %v", err)
	}
}

// testConflict holds that the fields of another manager are not taken over
// unless that is asked for.
func testConflict(t *testing.T, c *cluster.Cluster, client *Client) {
	ctx := t.Context()
	namespace := sampleNamespace(t, client)
	other := clientOf(t, c, Options{FieldManager: "somebody"})
	theirs := Split(namespace, "http-lb", 9180, map[string]int{"http-lb-v1": 20, "http-lb-v2": 80})
	if _, err := other.Apply(ctx, theirs); err != nil {
		t.Fatal(err)
	}
	ours := Split(namespace, "http-lb", 9180, map[string]int{"http-lb-v1": 50, "http-lb-v2": 50})
	_, err := client.Apply(ctx, ours)
	if !errors.Is(err, ErrPermanent) || !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `"somebody"`) || !strings.Contains(err.Error(), "Options.Force") {
		t.Errorf("error is %v", err)
	}
	if results, err := clientOf(t, c, Options{Force: true}).Apply(ctx, ours); err != nil || actions(results) != "configured configured" {
		t.Errorf("by force: %v, %v", results, err)
	}
}

func testForbidden(t *testing.T, c *cluster.Cluster) {
	config := rest.CopyConfig(configOf(t, c))
	config.Impersonate.UserName = "clover-nobody"
	client, err := New(config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Apply(t.Context(), SDC(SDCOptions{}))
	if !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), `User "clover-nobody" cannot list resource "gateways"`) {
		t.Errorf("error is %v", err)
	}
}
