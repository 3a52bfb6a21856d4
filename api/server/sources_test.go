package server_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/api/server"
)

func TestSourcePolicy(t *testing.T) {
	services, err := server.NewSourcePolicy([]string{server.ServicesOnly}, "http://127.0.0.1:16686")
	check(t, err)
	both, err := server.NewSourcePolicy([]string{server.ServicesOnly, "*.Example.com"})
	check(t, err)
	all, err := server.NewSourcePolicy([]string{"*"})
	check(t, err)
	for _, c := range []struct {
		policy    *server.SourcePolicy
		url, want string // want "": refused
	}{
		{services, "http://tracing.istio-system:80", "http://tracing.istio-system.svc:80"},
		{services, "tracing.istio-system:80/jaeger", "http://tracing.istio-system.svc:80/jaeger"},
		{services, "grpc://me:pw@Tracing.Istio-System.:16685", "grpc://me:pw@tracing.istio-system.svc:16685"},
		{services, "https://tracing.istio-system.svc", "https://tracing.istio-system.svc"},
		{services, "http://tracing.istio-system.svc.cluster.local/x", "http://tracing.istio-system.svc/x"},
		{services, "http://127.0.0.1:16686", "http://127.0.0.1:16686"}, // trusted
		{services, "http://127.0.0.1:16687", ""},
		{services, "http://169.254.169.254/latest/meta-data", ""},
		{services, "http://[fd00:ec2::254]/latest", ""},
		{services, "http://[::ffff:169.254.169.254]/", ""},
		{services, "http://2852039166/", ""},
		{services, "http://0xa9fea9fe/", ""},
		{services, "http://0251.0376.0251.0376/", ""},
		{services, "http://localhost:32044", ""},
		{services, "http://metadata.google.internal", ""},
		{services, "http://tracing.istio-system@169.254.169.254/", ""},
		{services, "http://169.254.169.254#.istio-system", ""},
		{services, "http://tracing.istio-system.svc.example.com", ""},
		{services, "http:///nothing", ""},
		{services, "http://%zz", ""},
		// Looks like a service, so it is one: the name stays in the cluster.
		{services, "http://example.com", "http://example.com.svc"},
		{both, "https://jaeger.example.com", "https://jaeger.example.com"},
		{both, "https://jaeger.example.org/x.example.com", ""},
		{all, "http://169.254.169.254", "http://169.254.169.254"},
		{nil, "http://169.254.169.254", "http://169.254.169.254"},
	} {
		got, err := c.policy.Resolve(c.url)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.url, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("a password is in %v", err)
		}
	}
	for _, pattern := range []string{"", "[", "http://x", "a:80"} {
		if _, err := server.NewSourcePolicy([]string{pattern}); err == nil {
			t.Errorf("pattern %q is accepted", pattern)
		}
	}
}

// TestARequestCannotNameJustAnySource asks for sources by each way there is.
func TestARequestCannotNameJustAnySource(t *testing.T) {
	policy, err := server.NewSourcePolicy([]string{server.ServicesOnly})
	check(t, err)
	f := startWith(t, func(d *server.LocalDeps) { d.Sources = policy })
	client, control := v1.NewVisibilityServiceClient(f.conn), collector.NewControllerClient(f.conn)
	bad, good := "http://169.254.169.254/latest", "http://prometheus.istio-system:9090"
	for name, ask := range map[string]func(context.Context) error{
		"set tracing": func(ctx context.Context) error {
			_, err := client.UpdateConfig(ctx, &v1.UpdateConfigRequest{Change: &v1.ConfigChange{TracingUrls: &v1.StringList{Items: []string{bad}}}})
			return err
		},
		"set monitoring": func(ctx context.Context) error {
			_, err := client.UpdateConfig(ctx, &v1.UpdateConfigRequest{Change: &v1.ConfigChange{MonitoringUrl: &bad}})
			return err
		},
		"start": func(ctx context.Context) error {
			_, err := client.Start(ctx, &v1.StartRequest{Change: &v1.ConfigChange{MonitoringUrl: &bad}})
			return err
		},
		"start as in 2019": func(ctx context.Context) error {
			_, err := control.StartCollector(ctx, &collector.StartCollectorRequest{THost: "169.254.169.254", TPort: "80"})
			return err
		},
	} {
		if err := ask(t.Context()); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "--allow-source") {
			t.Errorf("%s: %v, want a refusal that names the flag", name, err)
		}
	}
	_, err = client.UpdateConfig(t.Context(), &v1.UpdateConfigRequest{Change: &v1.ConfigChange{MonitoringUrl: &good}})
	check(t, err)
	code, body := get(t, f.rest+"/api/v1/visibility/config")
	config, _ := body["config"].(map[string]any)
	if code != http.StatusOK || config["monitoring_url"] != good {
		t.Errorf("%d %v, want %s as it was written", code, body, good)
	}
}

// FuzzResolve looks for a source that a policy of services lets through to
// somewhere else.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"http://tracing.istio-system:80", "a.b.svc:1", "grpc://a.b.svc.cluster.local.", "http://169.254.169.254/",
		"http://a.b@169.254.169.254#.svc", "http://[::1%25a.svc]:80", "//a.b.svc", "http://a.b.svc\\@x.example.com",
	} {
		f.Add(seed)
	}
	policy, err := server.NewSourcePolicy([]string{server.ServicesOnly})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		got, err := policy.Resolve(source)
		if err != nil {
			return
		}
		if !strings.Contains(got, "://") {
			got = "http://" + got // as the clients of sources do
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", source, got, err)
		}
		host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		if !strings.HasSuffix(host, ".svc") || net.ParseIP(host) != nil {
			t.Errorf("%q goes to host %q", source, host)
		}
	})
}
