package loadtests_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	"github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/loadtest"
	"github.com/opnfv/clover/api/server/loadtests"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/jmeter/master"
)

func TestMain(m *testing.M) { leak.Main(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve serves a gRPC service until the end of the test, and returns a
// connection to it.
func serve(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	srv := grpc.NewServer()
	register(srv)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() {
		check(t, conn.Close())
		srv.Stop()
		check(t, <-done)
	})
	return conn
}

// area returns the load test area on a master of its own, by gRPC on both
// sides as in a cluster.
func area(t *testing.T) loadtestv1.LoadTestServiceClient {
	t.Helper()
	m, err := master.New(master.Options{Dir: t.TempDir(), Targets: master.Targets{Allow: []string{"127.0.0.1"}}, Logger: testutil.Logger(t)})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() { stop(); check(t, <-done) })
	toMaster := serve(t, func(s *grpc.Server) { jmeter.RegisterControllerServer(s, loadtest.Service{Master: m}) })
	service := loadtests.New(toMaster, "clover-jmeter-master:50054")
	return loadtestv1.NewLoadTestServiceClient(serve(t, func(s *grpc.Server) { loadtestv1.RegisterLoadTestServiceServer(s, service) }))
}

// TestTheArea goes through all methods.
func TestTheArea(t *testing.T) {
	c := area(t)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello"))
	}))
	defer site.Close()
	created, err := c.CreatePlan(t.Context(), &loadtestv1.CreatePlanRequest{Plan: &jmeter.GenTestRequest{
		Name: "http2", Plan: "http2: true\nload_spec: {loops: 3}\nurl_list: [{name: a, url: '" + site.URL + "', assert: [{body_contains: hello}]}]",
	}})
	check(t, err)
	if p := created.GetPlan(); created.GetMessage() != "Created test plan http2" || p.GetText() != "" || p.GetRequests() != 1 || p.GetThreads() != 1 {
		t.Error(created)
	}
	_, err = c.CreatePlan(t.Context(), &loadtestv1.CreatePlanRequest{Plan: &jmeter.GenTestRequest{Plan: "load_spec: {loops: 3}\nurl_list: [{name: a, url: '" + site.URL + "'}]"}})
	check(t, err)
	plans, err := c.ListPlans(t.Context(), &loadtestv1.ListPlansRequest{})
	check(t, err)
	if len(plans.GetPlans()) != 2 || plans.GetPlans()[0].GetName() != "default" {
		t.Error(plans)
	}
	plan, err := c.GetPlan(t.Context(), &loadtestv1.GetPlanRequest{Name: "http2"})
	if err != nil || !strings.HasPrefix(plan.GetPlan().GetText(), "http2: true") {
		t.Error(plan, err)
	}
	started, err := c.StartRun(t.Context(), &loadtestv1.StartRunRequest{RunId: "one", Limit: durationpb.New(1e12), Criteria: []string{"count == 3"}})
	check(t, err)
	if started.GetRun().GetEngine() != "builtin" || started.GetMessage() != "Started test plan default by builtin on the master: run one" {
		t.Error(started)
	}
	last := follow(t, c, "one")
	if n := last.GetNumbers(); !last.GetPassed() || n.GetCount() != 3 || n.GetMax().AsDuration() <= 0 || len(last.GetVerdicts()) != 1 || last.GetEnded() == nil {
		t.Error(last)
	}
	runs, err := c.ListRuns(t.Context(), &loadtestv1.ListRunsRequest{})
	if err != nil || len(runs.GetRuns()) != 1 {
		t.Error(runs, err)
	}
	one, err := c.GetRun(t.Context(), &loadtestv1.GetRunRequest{RunId: "latest"})
	if err != nil || one.GetRun().GetId() != "one" {
		t.Error(one, err)
	}
	results, err := c.GetResults(t.Context(), &loadtestv1.GetResultsRequest{RunId: "one", Format: "detail"})
	if err != nil || strings.Count(results.GetMessage(), ",a,200,OK,") != 3 || results.GetNextOffset() != 0 {
		t.Error(results, err)
	}
}

// follow watches a run to its end.
func follow(t *testing.T, c loadtestv1.LoadTestServiceClient, id string) (last *jmeter.Run) {
	t.Helper()
	stream, err := c.WatchRun(t.Context(), &loadtestv1.WatchRunRequest{RunId: id})
	check(t, err)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last
		}
		check(t, err)
		last = m.GetRun()
	}
}

// TestCodes holds which code each fault has.
func TestCodes(t *testing.T) {
	c := area(t)
	_, err := c.CreatePlan(t.Context(), &loadtestv1.CreatePlanRequest{Plan: &jmeter.GenTestRequest{Plan: "url_list: [{name: a, url: 'http://127.0.0.1:1'}]"}})
	check(t, err)
	for name, x := range map[string]struct {
		call func() error
		want codes.Code
	}{
		"no plan":      {func() error { _, err := c.CreatePlan(t.Context(), &loadtestv1.CreatePlanRequest{}); return err }, codes.InvalidArgument},
		"another plan": {func() error { _, err := c.GetPlan(t.Context(), &loadtestv1.GetPlanRequest{Name: "x"}); return err }, codes.NotFound},
		"another run":  {func() error { _, err := c.GetRun(t.Context(), &loadtestv1.GetRunRequest{RunId: "x"}); return err }, codes.NotFound},
		"nothing runs": {func() error {
			_, err := c.StopRun(t.Context(), &loadtestv1.StopRunRequest{RunId: "latest"})
			return err
		}, codes.NotFound},
		"no JMeter": {func() error { _, err := c.StartRun(t.Context(), &loadtestv1.StartRunRequest{Slaves: 1}); return err }, codes.FailedPrecondition},
		"wrong limit": {func() error {
			_, err := c.StartRun(t.Context(), &loadtestv1.StartRunRequest{Limit: &durationpb.Duration{Seconds: 1, Nanos: -1}})
			return err
		}, codes.InvalidArgument},
		"another format": {func() error {
			_, err := c.GetResults(t.Context(), &loadtestv1.GetResultsRequest{Format: "x"})
			return err
		}, codes.InvalidArgument},
		"an offset": {func() error {
			_, err := c.GetResults(t.Context(), &loadtestv1.GetResultsRequest{Offset: 1})
			return err
		}, codes.InvalidArgument},
		"a target": {func() error {
			_, err := c.CreatePlan(t.Context(), &loadtestv1.CreatePlanRequest{Plan: &jmeter.GenTestRequest{Plan: "url_list: [{name: a, url: 'http://169.254.169.254'}]"}})
			return err
		}, codes.FailedPrecondition},
		"a stream of another run": {func() error {
			stream, err := c.WatchRun(t.Context(), &loadtestv1.WatchRunRequest{RunId: "x"})
			check(t, err)
			_, err = stream.Recv()
			return err
		}, codes.NotFound},
	} {
		if err := x.call(); status.Code(err) != x.want {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
}

// refusing is a master that takes no calls of this controller.
type refusing struct {
	jmeter.UnimplementedControllerServer
}

func (refusing) ListRuns(context.Context, *jmeter.ListRunsRequest) (*jmeter.ListRunsResponse, error) {
	return nil, status.Error(codes.PermissionDenied, "not you")
}

// TestARefusalOfTheMaster holds that it is no refusal of the caller.
func TestARefusalOfTheMaster(t *testing.T) {
	s := loadtests.New(serve(t, func(s *grpc.Server) { jmeter.RegisterControllerServer(s, refusing{}) }), "clover-jmeter-master:50054")
	_, err := s.ListRuns(t.Context(), &loadtestv1.ListRunsRequest{})
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "refuses this controller") {
		t.Error(err)
	}
}
