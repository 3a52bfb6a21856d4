package pod_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/examples/internal/sdc/pod"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func options(t *testing.T, h http.Handler) pod.Options {
	return pod.Options{
		HTTPAddr: "127.0.0.1:0", Handler: h, GRPCAddr: "127.0.0.1:0", Register: func(*grpc.Server) {}, AdminAddr: "127.0.0.1:0",
		Metrics: prometheus.NewRegistry(), DrainDelay: 15 * time.Second, Grace: 60 * time.Second, Logger: testutil.Logger(t),
	}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func get(url string) (int, error) {
	res, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// TestTheEndLosesNoRequest ends a pod while a request is under way: probes
// say so, new requests are still taken, and the old one is answered.
func TestTheEndLosesNoRequest(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	p, err := pod.Listen(t.Context(), options(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			close(began)
			<-release
		}
	})))
	if err != nil {
		t.Fatal(err)
	}
	addr, _, admin := p.Addrs()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		code, err := get("http://" + admin + "/readyz")
		return code == 200, errText(err)
	})
	held := make(chan int, 1)
	go func() {
		code, _ := get("http://" + addr + "/held")
		held <- code
	}()
	<-began
	cancel()
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		code, err := get("http://" + admin + "/readyz")
		return code == 503, errText(err)
	})
	if code, err := get("http://" + admin + "/healthz"); code != 200 {
		t.Errorf("the draining pod is not alive: %d, %v", code, err)
	}
	if code, err := get("http://" + addr + "/"); code != 200 {
		t.Errorf("a request to the draining pod: %d, %v", code, err)
	}
	// New ones are refused when the delay is over; the old one still runs.
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		_, err := get("http://" + addr + "/")
		return err != nil, "requests are still taken"
	})
	close(release)
	if code := <-held; code != 200 {
		t.Errorf("the request under way: %d", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func errText(err error) string {
	if err == nil {
		return "the answer is another one"
	}
	return err.Error()
}

func TestListenSaysWhatToDo(t *testing.T) {
	o := options(t, http.NotFoundHandler())
	o.GRPCAddr = ":0"
	if _, err := pod.Listen(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("plaintext for everybody: %v", err)
	}
	o.Insecure = true
	p, err := pod.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	o.GRPCAddr = "-"
	o.HTTPAddr, _, _ = p.Addrs()
	if _, err := pod.Listen(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--http-addr") {
		t.Errorf("the same address twice: %v", err)
	}
}
