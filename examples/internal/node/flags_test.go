package node

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
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

// TestSparkFlags holds what is refused, and what is known of the files.
func TestSparkFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		fail string
	}{
		{[]string{"--spark-addr", "spark:10000"}, "needed together"},
		{[]string{"--spark-data", "/spans"}, "needed together"},
		{[]string{"--spark-addr", "spark", "--spark-data", "/spans"}, "--spark-addr: spark: invalid input: address \"spark\""},
		{[]string{"--spark-addr", "spark:10000", "--spark-data", "/spans", "--spark-above", "-1"}, "--spark-above"},
		{[]string{"--spark-addr", "spark:10000", "--spark-data", "/spans", "--spark-ca-file", "absent.pem"}, "--spark-ca-file"},
		{[]string{"--spark-addr", "spark:10000", "--spark-data", "/spans"}, ""},
		{[]string{"--spark-addr", "spark:10000", "--spark-data", "cassandra:cass"}, "the store is not in Cassandra"},
		{[]string{"--spark-addr", "spark:10000", "--spark-data", "cassandra:cass", "--store", "cassandra"}, ""},
	} {
		o, err := parse(c.args...)
		if err != nil {
			t.Fatal(err)
		}
		n := &Node{opts: o, store: storetest.NewReference(storetest.Options{})}
		_, err = n.engines(visibility.AnalyticsOptions{})
		if c.fail == "" && err != nil || c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%q: %v, want %q", c.args, err, c.fail)
		}
	}
	for _, c := range []struct {
		data  string
		table string
		known bool // what is there
	}{
		{"hdfs://spans/parquet", "parquet.`hdfs://spans/parquet`", false},
		{"s3://spans/parquet", "parquet.`s3a://spans/parquet`", true},
		{"/absent", "parquet.`/absent`", true},
	} {
		o := SparkOptions{Data: c.data}
		s, err := o.reading(nil)
		if err != nil || s.Table != c.table || (s.Files != nil) != c.known {
			t.Errorf("%s: %+v, %v", c.data, s, err)
			continue
		}
		if c.data == "/absent" {
			if _, err := s.Files(t.Context()); !errors.Is(err, visibility.ErrUnavailable) {
				t.Errorf("a folder that is not there: %v", err)
			}
		}
	}
}
