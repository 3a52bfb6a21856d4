package kubesource_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/kubesource"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// connect returns how a real cluster is called, and a namespace in it of the
// test's own with a service of each sort.
func connect(t *testing.T) (config *rest.Config, admin *kubernetes.Clientset, namespace string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Start(t).Kubeconfig())
	check(t, err)
	config.NextProtos = []string{"http/1.1"} // whose connections are closed when told to
	admin, err = kubernetes.NewForConfig(config)
	check(t, err)
	closeIdle(t, config)
	ns, err := admin.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kubesource-"}}, metav1.CreateOptions{})
	check(t, err)
	t.Cleanup(func() {
		check(t, admin.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}))
	})
	ports, pods := []corev1.ServicePort{{Port: 80}}, map[string]string{"app": "jaeger"}
	for name, spec := range map[string]corev1.ServiceSpec{
		"tracing":  {Selector: pods, Ports: ports},
		"headless": {Selector: pods, Ports: ports, ClusterIP: corev1.ClusterIPNone},
		"metadata": {Type: corev1.ServiceTypeExternalName, ExternalName: "metadata.example.com"},
		"by-hand":  {Ports: ports},
	} {
		_, err := admin.CoreV1().Services(ns.Name).Create(t.Context(),
			&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		check(t, err)
	}
	return config, admin, ns.Name
}

// closeIdle closes the connections of a configuration at the end of the test.
// It holds their transport until then, which client-go's cache does not.
func closeIdle(t *testing.T, config *rest.Config) {
	t.Helper()
	rt, err := rest.TransportFor(config)
	check(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(rt) })
}

// TestTheClusterKnowsTheServices looks services up in a real cluster.
func TestTheClusterKnowsTheServices(t *testing.T) {
	config, _, namespace := connect(t)
	own, err := kubesource.New(kubesource.Options{Config: config, Namespaces: []string{namespace}})
	check(t, err)
	all, err := kubesource.New(kubesource.Options{Config: config, Namespaces: []string{kubesource.AllNamespaces}})
	check(t, err)
	for _, c := range []struct {
		checker         *kubesource.Checker
		namespace, name string
		want            string // in the error; "": none
	}{
		{own, namespace, "tracing", ""},
		{own, namespace, "headless", ""},
		{all, namespace, "tracing", ""},
		{own, namespace, "metadata", "ExternalName"},
		{own, namespace, "by-hand", "selects no pods"},
		{own, namespace, "jaeger", "there is no service jaeger in namespace " + namespace},
		{own, "kube-system", "kube-dns", "services of namespace kube-system may not be named"},
		{all, "kube-system", "kube-dns", ""},
		{all, "default", "kubernetes", "selects no pods"}, // the API server
		{all, "no-such-namespace", "a", "there is no service"},
	} {
		err := c.checker.CheckService(t.Context(), c.namespace, c.name)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s.%s: %v", c.name, c.namespace, err)
		case c.want != "" && (!errors.Is(err, auth.ErrDenied) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s.%s: %v, want a refusal with %q", c.name, c.namespace, err, c.want)
		}
	}
}

// TestWhenTheClusterCannotBeAsked sees that nothing is allowed then, and that
// it is told apart from a refusal.
func TestWhenTheClusterCannotBeAsked(t *testing.T) {
	config, admin, namespace := connect(t)
	token, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	check(t, err)
	weak := rest.AnonymousClientConfig(config)
	weak.BearerToken, weak.NextProtos = token.Status.Token, config.NextProtos
	closeIdle(t, weak)
	for want, c := range map[string]*rest.Config{
		"does not let Clover get services": weak,
		"cannot be asked":                  {Host: "http://" + testutil.FreeAddr(t)},
	} {
		checker, err := kubesource.New(kubesource.Options{Config: c, Namespaces: []string{namespace}, Timeout: time.Minute})
		check(t, err)
		err = checker.CheckService(t.Context(), namespace, "tracing")
		if !errors.Is(err, auth.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// serve runs a server until the end of the test and returns its gRPC address.
func serve(t *testing.T, service v1.VisibilityServiceServer) string {
	t.Helper()
	srv, err := server.New(t.Context(), service, server.Options{GRPCAddr: "127.0.0.1:0", RESTAddr: "-"})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-done)
	})
	addr, _ := srv.Addrs()
	return addr
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return conn
}

// TestRequestsOfAController names sources in every request that can: those
// that may be named reach the collector, here one that knows nothing.
func TestRequestsOfAController(t *testing.T) {
	config, _, namespace := connect(t)
	checker, err := kubesource.New(kubesource.Options{Config: config, Namespaces: []string{namespace}})
	check(t, err)
	hosts, err := server.NewSourcePolicy([]string{"jaeger.example.com", "192.0.2.*"})
	check(t, err)
	behind := dial(t, serve(t, v1.UnimplementedVisibilityServiceServer{}))
	conn := dial(t, serve(t, server.NewForwarder(behind, server.ForwarderOptions{
		Sources: server.CheckedSources{Hosts: hosts, Services: checker},
	})))
	service, control := v1.NewVisibilityServiceClient(conn), collector.NewControllerClient(conn)
	for host, want := range map[string]codes.Code{
		"tracing." + namespace:                        codes.Unimplemented, // it got there
		"headless." + namespace + ".svc":              codes.Unimplemented,
		"Tracing." + namespace + ".svc.cluster.local": codes.Unimplemented,
		"jaeger.example.com":                          codes.Unimplemented,
		"192.0.2.7":                                   codes.Unimplemented,
		"metadata." + namespace:                       codes.InvalidArgument,
		"by-hand." + namespace:                        codes.InvalidArgument,
		"jaeger." + namespace:                         codes.InvalidArgument,
		"kubernetes.default":                          codes.InvalidArgument,
		"a.tracing." + namespace + ".svc":             codes.InvalidArgument,
		"169.254.169.254":                             codes.InvalidArgument,
		"metadata":                                    codes.InvalidArgument,
		"metadata.google.internal":                    codes.InvalidArgument,
	} {
		url := "http://" + host + ":80"
		change := &v1.ConfigChange{TracingUrls: &v1.StringList{Items: []string{url}}}
		for name, ask := range map[string]func(context.Context) error{
			"set": func(ctx context.Context) error {
				_, err := service.UpdateConfig(ctx, &v1.UpdateConfigRequest{Change: change})
				return err
			},
			"start": func(ctx context.Context) error {
				_, err := service.Start(ctx, &v1.StartRequest{Change: &v1.ConfigChange{MonitoringUrl: &url}})
				return err
			},
			"start as in 2019": func(ctx context.Context) error {
				_, err := control.StartCollector(ctx, &collector.StartCollectorRequest{THost: host, TPort: "80"})
				return err
			},
		} {
			if err := ask(t.Context()); status.Code(err) != want {
				t.Errorf("%s %s: %v, want %s", name, url, err, want)
			}
		}
	}
}
