package main

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

// TestMain is the program itself where a test starts it as a process.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	leak.Main(m)
}

var grpcLine = regexp.MustCompile(`gRPC (127\S+), REST none`)

// start runs the program until stop, and returns where its gRPC is.
func start(t *testing.T, more ...string) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr testutil.Output
	done := make(chan error, 1)
	args := append([]string{"--data-dir", t.TempDir(), "--grpc-addr", "127.0.0.1:0",
		"--otlp-grpc-addr", "127.0.0.1:0", "--otlp-http-addr", "-"}, more...)
	go func() { done <- run(ctx, args, &stdout, &stderr) }()
	var addr string
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		if m := grpcLine.FindStringSubmatch(stdout.String()); m != nil {
			addr = m[1]
		}
		return addr != "", stdout.String() + stderr.String()
	})
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn, func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v\n%s", err, stderr.String())
		}
	}
}

// TestSourcesInACluster names sources as in a pod, where an address would be
// what only the pod can reach.
func TestSourcesInACluster(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	conn, stop := start(t, "--jaeger", "http://127.0.0.1:1")
	defer stop()
	ctl := collector.NewControllerClient(conn)
	for host, want := range map[string]codes.Code{
		"tracing.istio-system": codes.OK,
		"127.0.0.1":            codes.OK, // the operator gave it by --jaeger
		"127.0.0.2":            codes.InvalidArgument,
		"169.254.169.254":      codes.InvalidArgument,
		"localhost":            codes.InvalidArgument,
	} {
		_, err := ctl.StartCollector(t.Context(), &collector.StartCollectorRequest{THost: host, TPort: "1"})
		if status.Code(err) != want {
			t.Errorf("%s: %v, want %s", host, err, want)
		}
	}
}

// TestControl starts a collector as the controller finds it, and controls it
// by the names of 2019.
func TestControl(t *testing.T) {
	conn, stop := start(t)
	defer stop()
	ctl := collector.NewControllerClient(conn)
	res, err := ctl.InitVisibility(t.Context(), &collector.InitVisibilityRequest{})
	if err != nil || res.GetMessage() != "Added visibility schemas in embedded" {
		t.Errorf("init: %v, %v", res, err)
	}
	_, err = ctl.StartCollector(t.Context(), &collector.StartCollectorRequest{TPort: "80"})
	if err == nil || !strings.Contains(err.Error(), "t_port") {
		t.Errorf("a port without a host: %v", err)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{}, {"--data-dir", t.TempDir(), "--log-level", "loud"}, {"--nonsense"}} {
		if err := run(t.Context(), args, &testutil.Output{}, &testutil.Output{}); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
