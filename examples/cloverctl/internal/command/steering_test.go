package command

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/agent"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/agents"
	"github.com/opnfv/clover/api/snort"
	sampleids "github.com/opnfv/clover/examples/internal/sdc/ids"
	"github.com/opnfv/clover/ids/blocklist"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// listenGRPC serves services until the test ends.
func listenGRPC(t *testing.T, register func(*grpc.Server)) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	srv := grpc.NewServer()
	register(srv)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		<-done
	})
	return l.Addr().String()
}

// steered runs a controller with a load balancer, a proxy, a server and an
// IDS, each with its real agent.
func steered(t *testing.T) (address string) {
	t.Helper()
	list, err := blocklist.Open(blocklist.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, list.Close()) })
	root := t.TempDir()
	check(t, os.WriteFile(filepath.Join(root, "uploaded"), nil, 0o600))
	var o agents.Options
	for _, x := range []struct {
		kind agents.Kind
		name string
		a    agent.Nginx
	}{
		{agents.Balancer, "http-lb-v2.default", agent.Nginx{Role: agent.RoleBalancer, Port: "9180"}},
		{agents.Proxy, "proxy-access-control", agent.Nginx{Role: agent.RoleProxy, Port: "9180", Blocks: &agent.Blocks{List: list}}},
		{agents.Server, "clover-server1", agent.Nginx{Role: agent.RoleServer, Port: "9180", SiteRoots: []string{root}}},
	} {
		a := x.a
		a.Agent, err = loadbalancer.NewAgent(proxy.New(proxy.Options{}), loadbalancer.AgentOptions{})
		check(t, err)
		check(t, a.Agent.Begin(t.Context(), loadbalancer.Config{Name: x.name}))
		o.Targets = append(o.Targets, agents.Target{Kind: x.kind, Name: x.name, Address: listenGRPC(t, func(s *grpc.Server) { nginx.RegisterControllerServer(s, &a) })})
	}
	engine := &agent.Snort{Engine: sampleids.NewEngine(), LocalFile: filepath.Join(t.TempDir(), "local.rules")}
	o.Targets = append(o.Targets, agents.Target{Kind: agents.Detection, Name: "snort-ids", Address: listenGRPC(t, func(s *grpc.Server) { snort.RegisterControllerServer(s, engine) })})
	known, err := agents.New(o)
	check(t, err)
	srv, err := server.New(t.Context(), v1.UnimplementedVisibilityServiceServer{}, server.Options{
		GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0",
		Balancers: agents.Balancers{Agents: known}, Protection: agents.Protection{Agents: known},
	})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		check(t, <-done)
	})
	_, rest := srv.Addrs()
	return "http://" + rest
}

// TestSteeringAndProtecting types what the guide says, and more.
func TestSteeringAndProtecting(t *testing.T) {
	address := steered(t)
	files := "../../yaml/"
	for _, c := range []struct {
		args, stdin string
		code        int
		want        []string
	}{
		{"set lb -f " + files + "lbv2.yaml --dry-run", "", 0, []string{"Would modify nginx config; nothing was done", "+ groups[cloverlb]"}},
		{"set lb -f " + files + "lbv2.yaml --wait", "", 0, []string{"Modified nginx config", "clover-server5:9180"}},
		{"set lb -f " + files + "lbv2.yaml", "", 0, []string{"nginx config is so already"}},
		{"set lb http_lb_v2 -f -", "lb_list: [{url: 'a:1', weight: 3}]", 0, []string{"+ groups[cloverlb].servers[a:1]: address a:1, weight 3"}},
		{"set lb -f -", "lb_list: [{url: 'a:1'}]", exitUsage, []string{"which one?"}},
		{"set lb http-lb-v2 -f -", "lb_list: [{url: 'a:1;'}]", exitUsage, []string{"lb_list[0].url"}},
		{"set lb http-lb-v2 -f -", "lb_lisst: []", exitUsage, []string{"line 1, column 1: lb_lisst: is not known"}},
		{"set lb http-lb-v2 --if-version 1 -f " + files + "lbv2.yaml", "", exitFailure, []string{"based on version 1"}},
		{"set lb http-lb-v9 -f " + files + "lbv2.yaml", "", exitNotFound, []string{"want one of http-lb-v2.default"}},
		{"set lb", "", exitUsage, []string{"-f FILE is needed"}},
		{"get lb", "", 0, []string{"http-lb-v2.default    1/1    3", "built-in proxy"}},
		{"get lb http-lb-v2", "", 0, []string{"weight: 3", "connections stay open"}},
		{"get lb http-lb-v2 --history", "", 0, []string{"VERSION  TIME", "weight 3"}},
		{"get lb http-lb-v2 --config", "", 0, []string{"- name: cloverlb"}},
		{"get lb --config", "", exitUsage, []string{"need a NAME"}},
		{"undo lb http-lb-v2", "", 0, []string{"Modified nginx config", "- groups[cloverlb].servers[a:1]"}},
		{"set balancer http-lb-v2 -f -", "name: other", 0, []string{"- groups[cloverlb]"}},
		{"set proxy -f " + files + "proxy.yaml", "", 0, []string{"mirror.address"}},
		{"set server clover-server1 -f -", "files: [{src_file: uploaded, dest_file: ../x}]", exitUsage, []string{"files"}},
		{"create idsrules -f " + files + "idsrule_scan.yaml", "", 0, []string{"Added to local rules"}},
		{"create idsrules -f -", "sid: x\nprotocol: tcp\nmsg: m", exitUsage, []string{"sid"}},
		{"get ids", "", 0, []string{"snort-ids  clover-ids", "1"}},
		{"stop ids", "", 0, []string{"Stopped clover-ids on pid: ", ", Cleared clover-ids logs"}},
		{"get ids", "", 0, []string{"! the engine is stopped"}},
		{"start ids", "", 0, []string{"Started clover-ids on pid: "}},
		{"create blocklist 192.0.2.7 --for 1h --reason because", "", 0, []string{"Blocked 192.0.2.7 for 1h0m0s"}},
		{"create blocklist 2001:db8::/32", "", 0, []string{"Blocked 2001:db8::/32"}},
		{"create blocklist somewhere", "", exitUsage, []string{"is not an IP address"}},
		{"get blocklist", "", 0, []string{"192.0.2.7", "because", "2001:db8::/32  person  removed"}},
		{"delete blocklist 2001:db8::/32", "", 0, []string{"Unblocked 2001:db8::/32"}},
		{"delete blocklist 2001:db8::/32", "", exitNotFound, []string{"not in the blocklist"}},
	} {
		code, out, errs := ctl(t, c.stdin, append([]string{"-q", "--controller", address}, strings.Fields(c.args)...)...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(out+errs, want) {
				t.Errorf("%s: exit %d, want %d and %q in\n%s%s", c.args, code, c.code, want, out, errs)
			}
		}
	}
	for _, args := range []string{"get lb", "get lb http-lb-v2", "get ids", "get blocklist"} {
		code, out, errs := ctl(t, "", append([]string{"-q", "--controller", address}, strings.Fields(args+" -o json")...)...)
		if !json.Valid([]byte(out)) || code != 0 {
			t.Errorf("%s: exit %d\n%s%s", args, code, out, errs)
		}
	}
}
