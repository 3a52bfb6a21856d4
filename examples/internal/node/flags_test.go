package node

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func parse(args ...string) (Options, error) {
	var o Options
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.AddFlags(f)
	return o, f.Parse(args)
}

func TestFlagsReachTheClients(t *testing.T) {
	o, err := parse("--jaeger", "https://a", "--jaeger", "https://b", "--jaeger-token-file", "jt", "--jaeger-ca-file", "jc",
		"--jaeger-header", "X-Tenant: acme:1 ", "--prometheus", "https://p", "--prometheus-token-file", "pt",
		"--prometheus-ca-file", "pc", "--prometheus-header", "x-scope-orgid:mesh", "--sample-interval", "5s", "--retention", "1h")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.JaegerURLs) != 2 || o.Jaeger.BearerTokenFile != "jt" || o.Jaeger.TLS.CAFile != "jc" || o.Jaeger.Headers["x-tenant"] != "acme:1" {
		t.Errorf("Jaeger: %v %+v", o.JaegerURLs, o.Jaeger)
	}
	if o.PrometheusURL != "https://p" || o.Prometheus.BearerTokenFile != "pt" || o.Prometheus.TLS.CAFile != "pc" || o.Prometheus.Headers.Get("X-Scope-OrgID") != "mesh" {
		t.Errorf("Prometheus: %v %+v", o.PrometheusURL, o.Prometheus)
	}
	if o.SampleInterval != 5*time.Second || o.Store.Retention != time.Hour {
		t.Errorf("%v, %v", o.SampleInterval, o.Store.Retention)
	}
}

func TestWrongHeaders(t *testing.T) {
	for _, h := range []string{"", "name", ": value", "na me: value", "name: a\nb: c"} {
		if _, err := parse("--jaeger-header", h); err == nil {
			t.Errorf("%q is accepted", h)
		}
	}
}
