package control_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// roles takes whatever it is given.
type roles struct {
	proxy    control.ProxyConfig
	balancer control.BalancerConfig
	site     control.SiteConfig
	alert    control.Alert
}

type (
	proxyRole    struct{ *roles }
	balancerRole struct{ *roles }
	serverRole   struct{ *roles }
)

func (r proxyRole) Configure(_ context.Context, c control.ProxyConfig) error { r.proxy = c; return nil }
func (r proxyRole) Blocked() []netip.Addr                                    { return r.proxy.Block }
func (r proxyRole) Alerted(_ context.Context, a control.Alert) (control.Verdict, error) {
	r.alert = a
	return control.Verdict{Source: a.Source, Blocked: true, Reason: "blocked"}, nil
}

func (r balancerRole) Configure(_ context.Context, c control.BalancerConfig) ([]string, error) {
	r.balancer = c
	return []string{"before:1"}, nil
}

func (r serverRole) Configure(_ context.Context, c control.SiteConfig) (int, error) {
	r.site = c
	return len(c.Files), nil
}

// TestTheFilesOfTheGuide sends what the guide's YAML files hold.
func TestTheFilesOfTheGuide(t *testing.T) {
	r := &roles{}
	c := &control.Nginx{Proxy: proxyRole{r}, Balancer: balancerRole{r}, Server: serverRole{r}}
	lb, err := c.ModifyLB(t.Context(), &nginx.ModifyLBRequest{
		ServerPort: "9180", ServerName: "http-lb-v2", LbName: "http-lb-v2.default", LbGroup: "cloverlb", LbPath: "/",
		LbList: []*nginx.Server{{Url: "clover-server4:9180"}, {Url: "http://clover-server5:9180/"}},
	})
	if err != nil || lb.GetMessage() != "Modified nginx config" || strings.Join(r.balancer.Servers, " ") != "clover-server4:9180 clover-server5:9180" ||
		strings.Join(lb.GetPrevious(), "") != "before:1" {
		t.Errorf("lb: %v, %v, %+v", lb, err, r.balancer)
	}
	server, err := c.ModifyServer(t.Context(), &nginx.ModifyServerRequest{
		ServerPort: "9180", ServerName: "clover-server1", SiteRoot: "/var/www/html", SiteIndex: "index.html",
		UploadPathConfig: "/upload", UploadPathTest: "/upload_test",
		Locations: []*nginx.Location{{UriMatch: "/clover/testurl", Directive: "try_files $uri @default2", Path: "/clover/testurl"}},
		Files:     []*nginx.File{{SrcFile: "/var/www/html/upload/0000000001", DestFile: "var/www/html/clover/testurl/file1.png"}},
	})
	if err != nil || server.GetMessage() != "Modified nginx config" || server.GetFiles() != 1 || !r.site.Locations[0].Try.URI {
		t.Errorf("server: %v, %v, %+v", server, err, r.site)
	}
	proxy, err := c.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{
		ServerPort: "9180", ProxyPath: "http://http-lb:9180", MirrorPath: "http://snort-ids:80", Block: []string{"::ffff:203.0.113.9"},
	})
	if err != nil || r.proxy.Upstream != "http-lb:9180" || r.proxy.Mirror != "snort-ids:80" || strings.Join(proxy.GetBlocked(), "") != "203.0.113.9" {
		t.Errorf("proxy: %v, %v, %+v", proxy, err, r.proxy)
	}
	alert, err := c.ProcessAlerts(t.Context(), &nginx.ProcessAlertsRequest{EventId: "1", RedisKey: "snort_event:1", SourceIp: "203.0.113.9"})
	if err != nil || !alert.GetBlocked() || alert.GetMessage() != "Processed alert 1: blocked" || r.alert.RedisKey != "snort_event:1" {
		t.Errorf("alert: %v, %v, %+v", alert, err, r.alert)
	}
}

func TestOtherRolesAreUnimplemented(t *testing.T) {
	c := &control.Nginx{}
	_, e1 := c.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{})
	_, e2 := c.ModifyLB(t.Context(), &nginx.ModifyLBRequest{})
	_, e3 := c.ModifyServer(t.Context(), &nginx.ModifyServerRequest{})
	_, e4 := c.ProcessAlerts(t.Context(), &nginx.ProcessAlertsRequest{})
	for _, err := range []error{e1, e2, e3, e4} {
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%v, want unimplemented", err)
		}
	}
}

func TestWrongFieldsAreNamed(t *testing.T) {
	r := &roles{}
	c := &control.Nginx{Proxy: proxyRole{r}, Balancer: balancerRole{r}, Server: serverRole{r}}
	one := []*nginx.Server{{Url: "a:1"}}
	for want, call := range map[string]func() error{
		"lb_list: 0 servers": func() error { _, err := c.ModifyLB(t.Context(), &nginx.ModifyLBRequest{}); return err },
		"lb_list[1]": func() error {
			_, err := c.ModifyLB(t.Context(), &nginx.ModifyLBRequest{LbList: []*nginx.Server{{Url: "a:1"}, {Url: "b;reload:80"}}})
			return err
		},
		"lb_path": func() error {
			_, err := c.ModifyLB(t.Context(), &nginx.ModifyLBRequest{LbList: one, LbPath: "/a { return 200; }"})
			return err
		},
		"server_port": func() error {
			_, err := c.ModifyLB(t.Context(), &nginx.ModifyLBRequest{LbList: one, ServerPort: "70000"})
			return err
		},
		"server_name": func() error {
			_, err := c.ModifyServer(t.Context(), &nginx.ModifyServerRequest{ServerName: "a\nb"})
			return err
		},
		"locations[0]": func() error {
			_, err := c.ModifyServer(t.Context(), &nginx.ModifyServerRequest{Locations: []*nginx.Location{{UriMatch: "/", Path: "/", Directive: "proxy_pass http://evil"}}})
			return err
		},
		"files[0]": func() error {
			_, err := c.ModifyServer(t.Context(), &nginx.ModifyServerRequest{Files: []*nginx.File{{SrcFile: "../../etc/passwd", DestFile: "a"}}})
			return err
		},
		"HOST:PORT": func() error {
			_, err := c.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{ProxyPath: "https://a:1"})
			return err
		},
		"block": func() error {
			_, err := c.ModifyProxy(t.Context(), &nginx.ModifyProxyRequest{Block: []string{"everybody"}})
			return err
		},
		"source_ip": func() error {
			_, err := c.ProcessAlerts(t.Context(), &nginx.ProcessAlertsRequest{SourceIp: "x"})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want invalid argument with %q", err, want)
		}
	}
}

func TestParseTry(t *testing.T) {
	for text, want := range map[string]string{
		"try_files $uri @default2":  "true [] 0",
		"try_files $uri $uri/ =404": "true [] 404",
		"try_files /a/b.html =410;": "false [/a/b.html] 410",
	} {
		got, err := control.ParseTry(text)
		if s := fmt.Sprint(got.URI, got.Paths, got.Status); err != nil || s != want {
			t.Errorf("%s: %s, %v; want %s", text, s, err, want)
		}
	}
	for _, text := range []string{"", "try_files", "try_files =404 $uri", "try_files @a $uri", "try_files $uri; return 200", "try_files ../x =404", "try_files $uri =200", "rewrite a b"} {
		if got, err := control.ParseTry(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// engine notes the rule.
type engine struct{ rule control.Rule }

func (e *engine) AddRule(_ context.Context, r control.Rule) (int, error) { e.rule = r; return 7, nil }
func (e *engine) Start(context.Context) (control.EngineState, error) {
	return control.EngineState{Engine: "Snort", PID: 155}, nil
}

func (e *engine) Stop(context.Context) (control.EngineState, error) {
	return control.EngineState{Engine: "Snort", PID: 48}, nil
}

func TestSnort(t *testing.T) {
	e := &engine{}
	s := &control.Snort{Engine: e}
	rule := &snort.AddRulesRequest{
		Sid: "10000003", Protocol: "tcp", DestPort: "any", DestIp: "$HOME_NET", SrcPort: "any", SrcIp: "any",
		Msg: "MALWARE-CNC User-Agent ASafaWeb Scan", Rev: "001", Content: `"asafaweb.com"`,
	}
	added, err := s.AddRules(t.Context(), rule)
	want := `alert tcp any any -> $HOME_NET any (msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; content:"asafaweb.com"; sid:10000003; rev:1;)`
	if err != nil || added.GetMessage() != "Added to local rules" || added.GetRule() != want || added.GetRules() != 7 || string(e.rule.Content) != "asafaweb.com" {
		t.Errorf("%v, %v", added, err)
	}
	stopped, err := s.StopSnort(t.Context(), &snort.StopSnortRequest{})
	if err != nil || stopped.GetMessage() != "Stopped Snort on pid: 48, Cleared Snort logs" {
		t.Errorf("%v, %v", stopped, err)
	}
	started, err := s.StartSnort(t.Context(), &snort.StartSnortRequest{})
	if err != nil || started.GetMessage() != "Started Snort on pid: 155" {
		t.Errorf("%v, %v", started, err)
	}
	for field, change := range map[string]func(*snort.AddRulesRequest){
		"sid": func(r *snort.AddRulesRequest) { r.Sid = "0" }, "rev": func(r *snort.AddRulesRequest) { r.Rev = "" },
		"protocol": func(r *snort.AddRulesRequest) { r.Protocol = "http" }, "dest_port": func(r *snort.AddRulesRequest) { r.DestPort = "80;" },
		"src_ip": func(r *snort.AddRulesRequest) { r.SrcIp = "any (" }, "msg": func(r *snort.AddRulesRequest) { r.Msg = `x"; sid:1` },
		"content": func(r *snort.AddRulesRequest) { r.Content = `"a"; pcre:"/x/"` },
	} {
		bad := &snort.AddRulesRequest{
			Sid: rule.GetSid(), Protocol: rule.GetProtocol(), DestPort: "any", DestIp: "any", SrcPort: "any", SrcIp: "any", Msg: "m", Rev: "1",
		}
		change(bad)
		if _, err := s.AddRules(t.Context(), bad); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// FuzzRule holds that whatever is accepted stays one rule when it is written
// and reads back as the same content.
func FuzzRule(f *testing.F) {
	f.Add("m", `"asafaweb.com"`)
	f.Add("m", `"a|0D 0A|b\"; nocase"`)
	f.Add("m", `"User-Agent|3A| x"; nocase;`)
	f.Fuzz(func(t *testing.T, msg, content string) {
		any := control.End{Address: "any", Port: "any"}
		r, err := control.ParseRule("1", "1", "tcp", msg, content, any, any)
		if err != nil {
			return
		}
		text := r.String()
		if quotes := strings.Count(text, `"`); strings.ContainsAny(text, "\r\n\\") || quotes != 2 && quotes != 4 {
			t.Errorf("%q is not one rule", text)
		}
		if len(r.Content) == 0 {
			return
		}
		quoted := text[strings.Index(text, `content:"`)+len("content:"):]
		quoted = quoted[:strings.Index(quoted[1:], `"`)+2]
		again, err := control.ParseRule("1", "1", "tcp", msg, quoted, any, any)
		if err != nil || string(again.Content) != string(r.Content) {
			t.Errorf("%q reads back as %q, %v; was %q", quoted, again.Content, err, r.Content)
		}
	})
}
