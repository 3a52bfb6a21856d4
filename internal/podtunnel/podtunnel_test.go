package podtunnel_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/internal/podtunnel"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

// TestDNSOfTheCluster asks a pod that each cluster of kind has.
func TestDNSOfTheCluster(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Start(t).Kubeconfig())
	check(t, err)
	config.NextProtos = []string{"http/1.1"} // whose connections are closed when told to
	transport, err := rest.HTTPClientFor(config)
	check(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(transport.Transport) })
	api, err := kubernetes.NewForConfigAndClient(config, transport)
	check(t, err)
	pods, err := api.CoreV1().Pods("kube-system").List(t.Context(), metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	check(t, err)
	if len(pods.Items) == 0 {
		t.Fatal("no DNS in the cluster")
	}
	pod, core := pods.Items[0].Name, api.CoreV1().RESTClient()

	tunnel, err := podtunnel.Open(t.Context(), config, core, "kube-system", pod)
	check(t, err)
	for range 3 {
		c, err := tunnel.Dial(8080)
		check(t, err)
		if got := health(t, c); got != "200 OK" {
			t.Errorf("%s: %s", c.RemoteAddr(), got)
		}
		check(t, c.Close())
	}
	c, err := tunnel.Dial(1)
	check(t, err)
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "port 1 of pod kube-system/"+pod) {
		t.Errorf("a closed port: %v", err)
	}
	check(t, tunnel.Close())

	c, err = podtunnel.Dial(t.Context(), config, core, "kube-system", pod, 8080)
	check(t, err)
	if got := health(t, c); got != "200 OK" {
		t.Errorf("by a tunnel of its own: %s", got)
	}
	check(t, c.Close())

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := podtunnel.Dial(gone, config, core, "kube-system", pod, 8080); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
	if _, err := podtunnel.Dial(t.Context(), config, core, "kube-system", "no-such-pod", 8080); err == nil || !strings.Contains(err.Error(), "no-such-pod") {
		t.Errorf("no such pod: %v", err)
	}
}

// health asks for the health of DNS.
func health(t *testing.T, c net.Conn) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://dns/health", http.NoBody)
	check(t, err)
	check(t, req.Write(c))
	res, err := http.ReadResponse(bufio.NewReader(c), req)
	check(t, err)
	check(t, res.Body.Close())
	return res.Status
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
