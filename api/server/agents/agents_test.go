package agents_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/server/agents"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// agent stands for one replica: it counts versions and fails when told to.
type agent struct {
	nginx.UnimplementedControllerServer

	mu       sync.Mutex
	version  uint64
	servers  []string // the newest last, "undo" for one that was taken back
	refuse   error    // of changes
	refuseAt bool     // only when it is no dry run
	late     bool     // it does what is refused
	address  string
}

func (a *agent) ModifyLB(_ context.Context, r *nginx.ModifyLBRequest) (*nginx.ModifyLBResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil && (!a.refuseAt || !r.GetDryRun()) {
		if a.late {
			a.version++
			a.servers = append(a.servers, r.GetLbList()[0].GetUrl())
		}
		return nil, a.refuse
	}
	if r.GetDryRun() {
		return &nginx.ModifyLBResponse{Message: "would do", Change: &nginx.Change{Version: a.version, DryRun: true}}, nil
	}
	a.version++
	a.servers = append(a.servers, r.GetLbList()[0].GetUrl())
	return &nginx.ModifyLBResponse{Message: "done", Change: &nginx.Change{Version: a.version}}, nil
}

func (a *agent) Undo(_ context.Context, r *nginx.UndoRequest) (*nginx.UndoResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.GetIfVersion() != a.version {
		return nil, status.Errorf(codes.Aborted, "version %d", a.version)
	}
	a.version++
	a.servers = append(a.servers, "undo")
	return &nginx.UndoResponse{Message: "undone", Change: &nginx.Change{Version: a.version}}, nil
}

func (a *agent) GetConfig(context.Context, *nginx.GetConfigRequest) (*nginx.GetConfigResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &nginx.GetConfigResponse{
		Current: &nginx.Version{Number: a.version, Config: strings.Join(a.servers, ",")}, Driver: "test",
	}, nil
}

func (a *agent) Unblock(_ context.Context, r *nginx.UnblockRequest) (*nginx.UnblockResponse, error) {
	return &nginx.UnblockResponse{Message: "unblocked " + r.GetPrefix()}, nil
}

// start runs an agent at an address until the test ends.
func start(t *testing.T, address string, a *agent) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	a.address = l.Addr().String()
	srv := grpc.NewServer()
	nginx.RegisterControllerServer(srv, a)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		// ErrServerStopped: it had not begun yet.
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
}

// pair runs two replicas of http-lb-v2.default on one port.
func pair(t *testing.T) (b agents.Balancers, first, second *agent) {
	t.Helper()
	first, second = &agent{}, &agent{}
	start(t, "127.0.0.1:0", first)
	_, port, err := net.SplitHostPort(first.address)
	if err != nil {
		t.Fatal(err)
	}
	start(t, "127.0.0.2:"+port, second)
	all, err := agents.New(agents.Options{
		Timeout: time.Minute, // the machine may be busy
		Targets: []agents.Target{
			{Kind: agents.Balancer, Name: "http-lb-v2.default", Address: "lb.test:" + port},
			{Kind: agents.Balancer, Name: "http-lb-v1.default", Address: "nowhere.test:1"},
			{Kind: agents.Proxy, Name: "proxy-access-control", Address: "127.0.0.1:" + port},
		},
		Lookup: func(_ context.Context, host string) ([]string, error) {
			switch host {
			case "lb.test":
				return []string{"127.0.0.2", "127.0.0.1", "127.0.0.2"}, nil
			case "nowhere.test":
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return []string{host}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return agents.Balancers{Agents: all}, first, second
}

func setTo(name, server string) *lbv1.SetLBRequest {
	return &lbv1.SetLBRequest{Name: name, Change: &nginx.ModifyLBRequest{LbList: []*nginx.Server{{Url: server}}}}
}

func TestChangesEveryReplica(t *testing.T) {
	b, first, second := pair(t)
	for i, name := range []string{"http-lb-v2.default", "http-lb-v2", "http_lb_v2", "HTTP-LB-V2.default"} {
		res, err := b.SetLB(t.Context(), setTo(name, "a:1"))
		if err != nil || res.GetMessage() != "done" || len(res.GetReplicas()) != 2 {
			t.Fatalf("%s: %v, %v", name, res, err)
		}
		if got := res.GetReplicas()[1].GetAnswer().GetChange().GetVersion(); got != uint64(i+1) {
			t.Errorf("%s: version %d", name, got)
		}
	}
	if len(first.servers) != 4 || len(second.servers) != 4 {
		t.Errorf("%v, %v", first.servers, second.servers)
	}
}

func TestChangesAllOrNone(t *testing.T) {
	b, first, second := pair(t)
	second.refuse = status.Error(codes.InvalidArgument, "not such a server")
	_, err := b.SetLB(t.Context(), setTo("http-lb-v2", "a:1"))
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "http-lb-v2.default at 127.0.0.2:") {
		t.Errorf("%v", err)
	}
	if len(first.servers) != 0 {
		t.Errorf("the first was changed: %v", first.servers)
	}
	second.refuse, second.refuseAt = status.Error(codes.FailedPrecondition, "the disk is full"), true
	if _, err := b.SetLB(t.Context(), setTo("http-lb-v2", "a:1")); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("%v", err)
	}
	if got := strings.Join(first.servers, ","); got != "a:1,undo" {
		t.Errorf("the first, after the second has failed: %q", got)
	}
}

// TestAsksAgain holds that a replica whose answer did not come is asked what it
// has done, and that the error says so.
func TestAsksAgain(t *testing.T) {
	for _, late := range []bool{true, false} {
		b, first, second := pair(t)
		second.refuse, second.refuseAt, second.late = status.Error(codes.DeadlineExceeded, "too slow"), true, late
		_, err := b.SetLB(t.Context(), setTo("http-lb-v2", "a:1"))
		want, has := "asked again, it has not done it; no replica has the change", ""
		if late {
			want, has = "it had done it all the same, which was undone", "a:1,undo"
		}
		if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "127.0.0.2:") || !strings.Contains(err.Error(), want) {
			t.Errorf("late %v: %v", late, err)
		}
		if f, s := strings.Join(first.servers, ","), strings.Join(second.servers, ","); f != "a:1,undo" || s != has {
			t.Errorf("late %v: first %q, second %q", late, f, s)
		}
	}
}

func TestNamesOnly(t *testing.T) {
	b, _, _ := pair(t)
	for name, want := range map[string]string{
		"":                     "which one? Name it; want one of http-lb-v1.default, http-lb-v2.default",
		"http-lb-v3":           `"http-lb-v3" is not known here`,
		"127.0.0.1:80":         "is not known here",
		"http-lb-v2.other":     "is not known here",
		"proxy-access-control": "is not known here",
		"http-lb-v1":           "has no agent at nowhere.test:1",
	} {
		_, err := b.SetLB(t.Context(), setTo(name, "a:1"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestListShowsProblems(t *testing.T) {
	b, first, _ := pair(t)
	first.servers = []string{"another"}
	res, err := b.ListBalancers(t.Context(), &lbv1.ListBalancersRequest{})
	if err != nil || len(res.GetBalancers()) != 3 {
		t.Fatalf("%v, %v", res, err)
	}
	for i, want := range []struct {
		ready   int32
		problem string
	}{{0, "has no agent"}, {2, "differ"}, {1, ""}} {
		got := res.GetBalancers()[i]
		if got.GetReady() != want.ready || !strings.Contains(got.GetProblem(), want.problem) || want.problem == "" && got.GetProblem() != "" {
			t.Errorf("%v, want %+v", got, want)
		}
	}
	if _, err := b.GetBalancer(t.Context(), &lbv1.GetBalancerRequest{Name: "http-lb-v1"}); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
	one, err := b.GetBalancer(t.Context(), &lbv1.GetBalancerRequest{Name: "proxy-access-control"})
	if err != nil || one.GetConfig().GetCurrent().GetConfig() != "another" {
		t.Errorf("%v, %v", one, err)
	}
}

func TestProtection(t *testing.T) {
	b, _, _ := pair(t)
	p := agents.Protection{Agents: b.Agents}
	res, err := p.DeleteBlock(t.Context(), &idsv1.DeleteBlockRequest{Prefix: "2001:db8::/32"})
	if err != nil || res.GetMessage() != "unblocked 2001:db8::/32" {
		t.Errorf("the only proxy: %v, %v", res, err)
	}
	if _, err := p.StartEngine(t.Context(), &idsv1.StartEngineRequest{}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "knows no intrusion detection system") {
		t.Errorf("no IDS: %v", err)
	}
	if _, err := p.ListBlocked(t.Context(), &idsv1.ListBlockedRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("what an agent does not do: %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	got, err := agents.ParseTarget(agents.Detection, "snort-ids=snort-ids.default:50052")
	if err != nil || got != (agents.Target{Kind: agents.Detection, Name: "snort-ids", Address: "snort-ids.default:50052"}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "a", "a=b", "=b:1"} {
		if _, err := agents.ParseTarget(agents.Detection, text); err == nil {
			t.Errorf("%q", text)
		}
	}
	if _, err := agents.New(agents.Options{Targets: []agents.Target{{Name: "a_b"}, {Name: "A-b"}}}); err == nil {
		t.Error("one name twice")
	}
}
