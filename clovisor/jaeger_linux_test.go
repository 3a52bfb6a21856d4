package clovisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/tracing"
)

const nginxConf = `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s; location / { return 200 "nginx\n"; } location /missing { return 404; } }
}`

// TestRealPartsIntoJaeger has a real client ask a real nginx in a network
// namespace: the spans are in a real Jaeger, below the span that the client
// names. Where spans go changes meanwhile, in the configuration's file.
func TestRealPartsIntoJaeger(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		testutil.Missing(t, "curl", err.Error())
	}
	ns, first, second := testutil.Namespace(t), testutil.Jaeger(t, testutil.JaegerOptions{}), testutil.Jaeger(t, testutil.JaegerOptions{})
	url := startNginx(t, ns)
	file := filepath.Join(t.TempDir(), "clovisor.yaml")
	collector := func(address string) {
		check(t, os.WriteFile(file, []byte("jaeger_collector: "+address+"\n"), 0o600))
	}
	collector(first.OTLPGRPC)
	source, err := config.NewSource(config.SourceOptions{File: file, PollInterval: 20 * time.Millisecond, Logger: testutil.Logger(t)})
	check(t, err)
	tracer, end := run(t, Options{
		Source: Static{pod(ns, httpPort(8080))}, Config: source, OTLP: NewOTLP(tracing.ExporterOptions{
			Logger: testutil.Logger(t), Timeout: time.Minute, DrainTimeout: time.Minute, // the machine may be busy
		}),
	})
	testutil.Eventually(t, limit, func() (bool, string) { return tracer.targets.attached() == 1, "" })

	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	out, err := exec.CommandContext(t.Context(), curl, "-s", "-H", "traceparent: 00-"+trace+"-"+parent+"-01", url+"/a", url+"/missing").CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v: %s", err, out)
	}
	spans := stored(t, first, 2)
	for _, s := range spans {
		if s.TraceID != trace || s.ParentID != parent || s.Kind() != "server" || s.Service != "web-service.default" || s.Tags["k8s.pod.name"] == "" && s.Process["k8s.pod.name"] == "" {
			t.Errorf("%+v", s)
		}
	}
	collector(second.OTLPGRPC)
	testutil.Eventually(t, limit, func() (bool, string) { return tracer.o.OTLP.Endpoint() == second.OTLPGRPC, tracer.o.OTLP.Endpoint() })
	get(t, url+"/b")
	stored(t, second, 1)
	end()
	if s := tracer.Ledger().Spans; s.Exported != 3 || s.Seen != 3 || s.Waiting != 0 || len(s.Dropped) > 0 {
		t.Errorf("spans %+v", s)
	}
}

// stored waits until a Jaeger has so many spans.
func stored(t *testing.T, j *testutil.JaegerServer, n int) (spans []testutil.JaegerSpan) {
	t.Helper()
	testutil.Eventually(t, limit, func() (bool, string) {
		var err error
		spans, err = j.Spans(t.Context())
		return err == nil && len(spans) == n, fmt.Sprintf("%+v, %v", spans, err)
	})
	return spans
}

// startNginx runs nginx in the namespace.
func startNginx(t *testing.T, ns *testutil.NetNamespace) (url string) {
	t.Helper()
	nginx := testutil.Require(t, components.Nginx())
	dir, addr := t.TempDir(), net.JoinHostPort(ns.Addr.String(), "8080")
	file := filepath.Join(dir, "nginx.conf")
	check(t, os.WriteFile(file, fmt.Appendf(nil, nginxConf, dir, addr), 0o600))
	p := testutil.Start(t, testutil.Command{
		Name: "nginx", Path: ns.Exec()[0], Args: append(ns.Exec()[1:], nginx, "-c", file, "-e", filepath.Join(dir, "e")),
	})
	p.WaitReady(limit, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return "http://" + addr
}

// TestOTLPWithoutAnEndpoint counts what has nowhere to go, and sends to the
// newest of several endpoints that are set before it runs.
func TestOTLPWithoutAnEndpoint(t *testing.T) {
	ns := testutil.Namespace(t)
	serve(t, ns.Listen(8080))
	o := NewOTLP(tracing.ExporterOptions{})
	tracer, end := run(t, Options{Source: Static{pod(ns, httpPort(8080))}, OTLP: o, Sinks: []Sink{&seen{}}})
	// Without a configuration the default counts, where nobody is.
	if o.Endpoint() != config.DefaultCollector {
		t.Errorf("endpoint %q", o.Endpoint())
	}
	check(t, o.SetEndpoint(""))
	get(t, fmt.Sprintf("http://%s:8080/a", ns.Addr))
	testutil.Eventually(t, limit, func() (bool, string) {
		s := tracer.Ledger().Spans
		return s.Dropped[dropNoEndpoint] == 1 && s.Seen == 1, fmt.Sprintf("%+v", s)
	})
	if err := o.SetEndpoint("ftp://x"); err == nil || o.Endpoint() != "" {
		t.Errorf("ftp: %v, %q", err, o.Endpoint())
	}
	end()
}
