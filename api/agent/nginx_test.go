package agent_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/opnfv/clover/api/agent"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/ids/blocklist"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

func TestMain(m *testing.M) { leak.Main(m) }

// begin returns the agent of a built-in proxy.
func begin(t *testing.T, a *agent.Nginx, o proxy.Options, first loadbalancer.Config) *proxy.Proxy {
	t.Helper()
	p := proxy.New(o)
	var err error
	if a.Agent, err = loadbalancer.NewAgent(p, loadbalancer.AgentOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Agent.Begin(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	return p
}

// server answers with its name.
func server(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(name)) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func ask(p http.Handler, path, client string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = client + ":1000"
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func balanced(addresses ...string) loadbalancer.Config {
	g := loadbalancer.Group{Name: "cloverlb"}
	for _, a := range addresses {
		g.Servers = append(g.Servers, loadbalancer.Server{Address: a})
	}
	return loadbalancer.Config{Groups: []loadbalancer.Group{g}, Routes: []loadbalancer.Route{{Path: "/", Group: g.Name}}}
}

func TestChangesOfABalancer(t *testing.T) {
	one, two := server(t, "one"), server(t, "two")
	a := &agent.Nginx{Role: agent.RoleBalancer, Port: "9180"}
	p := begin(t, a, proxy.Options{}, balanced(one))
	expect := func(what, want string) {
		t.Helper()
		if code, body := ask(p, "/", "192.0.2.1"); code != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", what, code, body, want)
		}
	}
	change := &nginx.ModifyLBRequest{ServerPort: "9180", LbName: "http-lb-v2.default", LbGroup: "cloverlb", LbPath: "/", LbList: []*nginx.Server{{Url: "http://" + two + "/"}}}
	change.DryRun = true
	res, err := a.ModifyLB(t.Context(), change)
	if err != nil || !res.GetChange().GetDryRun() || res.GetChange().GetVersion() != 1 || len(res.GetChange().GetDiff()) != 2 {
		t.Fatalf("dry run: %v, %v", res, err)
	}
	expect("dry run", "one")
	change.DryRun, change.IfVersion = false, 7
	if _, err := a.ModifyLB(t.Context(), change); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("old version: %v", err)
	}
	change.IfVersion = 1
	res, err = a.ModifyLB(t.Context(), change)
	if err != nil || res.GetMessage() != "Modified nginx config" || res.GetPrevious()[0] != one || res.GetServers()[0] != two || res.GetChange().GetVersion() != 2 {
		t.Fatalf("%v, %v", res, err)
	}
	expect("change", "two")
	change.IfVersion = 0
	if res, err = a.ModifyLB(t.Context(), change); err != nil || res.GetMessage() != "nginx config is so already" || res.GetChange().GetVersion() != 2 {
		t.Errorf("again: %v, %v", res, err)
	}
	if _, err := a.Undo(t.Context(), &nginx.UndoRequest{IfVersion: 2}); err != nil {
		t.Fatal(err)
	}
	expect("undo", "one")
	versions, err := a.ListVersions(t.Context(), &nginx.ListVersionsRequest{})
	if err != nil || len(versions.GetVersions()) != 3 || versions.GetVersions()[0].GetNote() != "undo of version 2" || len(versions.GetVersions()[1].GetDiff()) != 2 {
		t.Errorf("%v, %v", versions, err)
	}
}

func TestWholeConfiguration(t *testing.T) {
	one := server(t, "one")
	a := &agent.Nginx{Role: agent.RoleBalancer}
	p := begin(t, a, proxy.Options{}, balanced(one))
	got, err := a.GetConfig(t.Context(), &nginx.GetConfigRequest{})
	if err != nil || got.GetDriver() != "built-in proxy" || !got.GetLosesNone() {
		t.Fatalf("%v, %v", got, err)
	}
	edited := strings.Replace(got.GetCurrent().GetConfig(), "path: /", "path: /a", 1)
	res, err := a.ApplyConfig(t.Context(), &nginx.ApplyConfigRequest{Config: edited, IfVersion: got.GetCurrent().GetNumber()})
	if err != nil || res.GetChange().GetVersion() != 2 {
		t.Fatalf("%v, %v\n%s", res, err, edited)
	}
	if code, _ := ask(p, "/", "192.0.2.1"); code != 404 {
		t.Errorf("/: %d", code)
	}
	for config, want := range map[string]string{
		"groups: [":      "not YAML",
		"groupss: []":    "groupss",
		"name: 'a b;{}'": "name",
		"sites: [{name: s, root: /etc}]\nroutes: [{site: s}]":                           "/etc is no folder of this load balancer",
		"listeners: [{address: ':443', cert_file: /etc/passwd, key_file: /etc/passwd}]": "certificates are given",
	} {
		if _, err := a.ApplyConfig(t.Context(), &nginx.ApplyConfigRequest{Config: config}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", config, err, want)
		}
	}
}

func TestOtherRolesAndWrongFields(t *testing.T) {
	a := &agent.Nginx{Role: agent.RoleBalancer, Port: "9180"}
	begin(t, a, proxy.Options{}, balanced("127.0.0.1:1"))
	for want, call := range map[string]func() error{
		"ModifyProxy changes a proxy; this is a load balancer": func() error {
			_, err := a.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{})
			return err
		},
		"ModifyServer changes a server": func() error {
			_, err := a.ModifyServer(t.Context(), &nginx.ModifyServerRequest{})
			return err
		},
		"ProcessAlerts is for a proxy": func() error {
			_, err := a.ProcessAlerts(t.Context(), &nginx.ProcessAlertsRequest{})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for want, r := range map[string]*nginx.ModifyLBRequest{
		"server_port: this load balancer listens on 9180, not on 80": {ServerPort: "80"},
		"lb_list[1].url":   {LbList: []*nginx.Server{{Url: "a:1"}, {Url: "b:2;"}}},
		"lb_list[0].state": {LbList: []*nginx.Server{{Url: "a:1", State: "asleep"}}},
		"lb_method":        {LbMethod: "best"},
		"name":             {ServerName: "a;b"},
		"path":             {LbPath: "/a { }"},
		"weight":           {LbList: []*nginx.Server{{Url: "a:1", Weight: -1}}},
	} {
		if _, err := a.ModifyLB(t.Context(), r); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", r, err, want)
		}
	}
}

func TestFilesOfAServer(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "uploaded"), []byte("picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &agent.Nginx{Role: agent.RoleServer, SiteRoots: []string{root}}
	p := begin(t, a, proxy.Options{}, loadbalancer.Config{})
	change := &nginx.ModifyServerRequest{
		SiteRoot:  root,
		Locations: []*nginx.Location{{UriMatch: "/clover/testurl", Directive: "try_files $uri @default2", Path: "/clover/testurl"}},
		Files:     []*nginx.File{{SrcFile: root + "/uploaded", DestFile: strings.TrimPrefix(root, "/") + "/clover/testurl/file1.png"}},
	}
	res, err := a.ModifyServer(t.Context(), change)
	if err != nil || res.GetFiles() != 1 || res.GetMessage() != "Modified nginx config" {
		t.Fatalf("%v, %v", res, err)
	}
	if code, body := ask(p, "/clover/testurl/file1.png", "192.0.2.1"); code != 200 || body != "picture" {
		t.Errorf("%d %q", code, body)
	}
	for _, wrong := range []*nginx.ModifyServerRequest{
		{SiteRoot: "/etc"}, {SiteRoot: root + "/../.."}, {Files: []*nginx.File{{SrcFile: "../secret", DestFile: "x"}}},
		{Files: []*nginx.File{{SrcFile: "uploaded", DestFile: "../x"}}},
		{Locations: []*nginx.Location{{UriMatch: "/x", Directive: "return 200"}}},
		{Locations: []*nginx.Location{{UriMatch: "/x/../..", Directive: "try_files $uri =404"}}},
	} {
		if _, err := a.ModifyServer(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

// TestHalfAChangeIsNone: a file that is not there takes the rest back.
func TestHalfAChangeIsNone(t *testing.T) {
	root := t.TempDir()
	a := &agent.Nginx{Role: agent.RoleServer, SiteRoots: []string{root}}
	begin(t, a, proxy.Options{}, loadbalancer.Config{})
	before, err := a.GetConfig(t.Context(), &nginx.GetConfigRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.ModifyServer(t.Context(), &nginx.ModifyServerRequest{SiteRoot: root, Files: []*nginx.File{{SrcFile: "missing", DestFile: "x"}}})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "the configuration is as it was") {
		t.Errorf("%v", err)
	}
	after, err := a.GetConfig(t.Context(), &nginx.GetConfigRequest{})
	if err != nil || after.GetCurrent().GetConfig() != before.GetCurrent().GetConfig() {
		t.Errorf("%v\n%s\n%s", err, before.GetCurrent().GetConfig(), after.GetCurrent().GetConfig())
	}
}

func TestAlertsAndBlocks(t *testing.T) {
	one := server(t, "one")
	list, err := blocklist.Open(blocklist.Options{Policy: blocklist.Policy{MaxPriority: 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	a := &agent.Nginx{Role: agent.RoleProxy, Blocks: &agent.Blocks{List: list}}
	p := begin(t, a, proxy.Options{Refuse: list.Blocked}, balanced(one))
	alert := &nginx.ProcessAlertsRequest{EventId: "1", SourceIp: "203.0.113.9", SignatureId: 7, Signature: "a scan", Priority: 3}
	if res, err := a.ProcessAlerts(t.Context(), alert); err != nil || res.GetBlocked() || !strings.Contains(res.GetMessage(), "its priority is too low") {
		t.Errorf("%v, %v", res, err)
	}
	alert.Priority = 1
	if res, err := a.ProcessAlerts(t.Context(), alert); err != nil || !res.GetBlocked() || !strings.HasPrefix(res.GetMessage(), "Processed alert 1: blocked 203.0.113.9 until") {
		t.Errorf("%v, %v", res, err)
	}
	if code, _ := ask(p, "/", "203.0.113.9"); code != 403 {
		t.Errorf("the attacker: %d", code)
	}
	if code, _ := ask(p, "/", "203.0.113.8"); code != 200 {
		t.Errorf("another client: %d", code)
	}
	for _, wrong := range []*nginx.ProcessAlertsRequest{{}, {SourceIp: "somewhere"}, {RedisKey: "snort_event:1"}} {
		if _, err := a.ProcessAlerts(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	block := &nginx.BlockRequest{Prefix: "198.51.100.0/24", Reason: "by hand", Duration: durationpb.New(time.Hour)}
	if res, err := a.Block(t.Context(), block); err != nil || res.GetMessage() != "Blocked 198.51.100.0/24 for 1h0m0s" || res.GetEntry().GetUntil() == nil {
		t.Errorf("%v, %v", res, err)
	}
	res, err := a.ListBlocked(t.Context(), &nginx.ListBlockedRequest{})
	if err != nil || len(res.GetEntries()) != 2 || res.GetAlerts() != 2 || len(res.GetNotBlocked()) != 1 {
		t.Errorf("%v, %v", res, err)
	}
	if _, err := a.Unblock(t.Context(), &nginx.UnblockRequest{Prefix: "203.0.113.9"}); err != nil {
		t.Error(err)
	}
	if _, err := a.Unblock(t.Context(), &nginx.UnblockRequest{Prefix: "203.0.113.9"}); status.Code(err) != codes.NotFound {
		t.Errorf("twice: %v", err)
	}
	if code, _ := ask(p, "/", "203.0.113.9"); code != 200 {
		t.Errorf("unblocked: %d", code)
	}
	proxyRes, err := a.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{Block: []string{"203.0.113.7"}, Unblock: []string{"198.51.100.0/24"}})
	if err != nil || strings.Join(proxyRes.GetBlocked(), " ") != "203.0.113.7" {
		t.Errorf("%v, %v", proxyRes, err)
	}
}

// slowDriver stands for a driver that cannot ask a list.
type slowDriver struct {
	proxy *proxy.Proxy
	fail  error
}

func (d *slowDriver) Describe() loadbalancer.Description { return d.proxy.Describe() }

func (d *slowDriver) Apply(ctx context.Context, c loadbalancer.Config) (loadbalancer.Result, error) {
	if d.fail != nil {
		return loadbalancer.Result{}, d.fail
	}
	return d.proxy.Apply(ctx, c)
}

func TestDenyKeepsVersionsClean(t *testing.T) {
	list, err := blocklist.Open(blocklist.Options{Policy: blocklist.Policy{For: 2 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	inner := &slowDriver{proxy: proxy.New(proxy.Options{})}
	deny := agent.NewDeny(inner, list)
	a := &agent.Nginx{Role: agent.RoleProxy, Blocks: &agent.Blocks{List: list, Changed: deny.Refresh}}
	if a.Agent, err = loadbalancer.NewAgent(deny, loadbalancer.AgentOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Agent.Begin(t.Context(), balanced(server(t, "one"))); err != nil {
		t.Fatal(err)
	}
	alert := &nginx.ProcessAlertsRequest{EventId: "1", SourceIp: "203.0.113.9"}
	if _, err := a.ProcessAlerts(t.Context(), alert); err != nil {
		t.Fatal(err)
	}
	if code, _ := ask(inner.proxy, "/", "203.0.113.9"); code != 403 {
		t.Errorf("%d", code)
	}
	if v := a.Agent.Current(); v.Number != 1 || len(v.Config.Access.Deny) != 0 {
		t.Errorf("the block is in the version: %+v", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- deny.Run(ctx, func(err error) { t.Error(err) }) }()
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		code, body := ask(inner.proxy, "/", "203.0.113.9")
		return code == 200, body
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	inner.fail = os.ErrPermission
	for range 2 { // told again, it is still not in effect
		if _, err := a.ProcessAlerts(t.Context(), alert); status.Code(err) != codes.Unavailable {
			t.Errorf("not in effect: %v, want an error that is tried again", err)
		}
	}
}
