package node

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// AddFlags defines the flags for what a Node reads, how it calls it, and how
// long it keeps it. What is behind TLS, a token or a tenant's header is read
// with them as the sample is without.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	o.Jaeger.Headers, o.Prometheus.Headers = map[string]string{}, http.Header{}
	f.StringSliceVar(&o.JaegerURLs, "jaeger", nil, "read traces from Jaeger at this `URL` (may be given again)")
	f.StringVar(&o.Jaeger.BearerTokenFile, "jaeger-token-file", "", "`file` with the bearer token for Jaeger")
	f.StringVar(&o.Jaeger.TLS.CAFile, "jaeger-ca-file", "", "PEM `file` with the certificates to trust for Jaeger (default: the system's)")
	f.Var(headers(func(name, value string) { o.Jaeger.Headers[strings.ToLower(name)] = value }),
		"jaeger-header", "`header` NAME: VALUE to send to Jaeger (may be given again)")
	f.StringVar(&o.PrometheusURL, "prometheus", "", "read metrics from Prometheus at this `URL`")
	f.StringVar(&o.Prometheus.BearerTokenFile, "prometheus-token-file", "", "`file` with the bearer token for Prometheus")
	f.StringVar(&o.Prometheus.TLS.CAFile, "prometheus-ca-file", "", "PEM `file` with the certificates to trust for Prometheus (default: the system's)")
	f.Var(headers(o.Prometheus.Headers.Add), "prometheus-header", "`header` NAME: VALUE to send to Prometheus (may be given again)")
	f.StringSliceVar(&o.AllowSources, "allow-source", DefaultAllowSources(), "`pattern` of hosts that requests may name as Jaeger or Prometheus (may be given again; in a cluster only its services by default)")
	f.DurationVar(&o.SampleInterval, "sample-interval", 0, "how often Jaeger and Prometheus are read (default: as configured before, or 2s)")
	f.StringVar(&o.Redis.URL, "redis", "", "keep results and configuration in Redis at this `address`, HOST:PORT or a URL, for a Cluster with ?cluster=true, for Sentinels with ?master_name=NAME; passwords are in the environment: REDIS_PASSWORD, REDIS_SENTINEL_PASSWORD")
	f.StringVar(&o.Redis.CAFile, "redis-ca-file", "", "PEM `file` with the certificates to trust for rediss:// (default: the system's)")
	f.StringVar(&o.Redis.CertFile, "redis-cert-file", "", "PEM `file` with the certificate to show to Redis")
	f.StringVar(&o.Redis.KeyFile, "redis-key-file", "", "PEM `file` with the key of --redis-cert-file")
	f.DurationVar(&o.RedisRefresh, "redis-refresh", 0, "how often Redis is brought up to date (default: 1s)")
	f.StringVar(&o.RedisResults, "redis-results", "store", "`engine` that counts for Redis: store, or spark, whose jobs write into --spark-results; configuration and metrics are always the store's")
	f.StringVar(&o.SparkResults, "spark-results", "", "`directory` that clover-spark-submit writes into: the status tells of the jobs, and --redis-results spark reads it")
	o.Redis.Password = os.Getenv("REDIS_PASSWORD")
	o.Redis.SentinelUsername, o.Redis.SentinelPassword = os.Getenv("REDIS_SENTINEL_USERNAME"), os.Getenv("REDIS_SENTINEL_PASSWORD")
	o.Spark.addFlags(f)
	f.DurationVar(&o.Store.Retention, "retention", 7*24*time.Hour, "age at which data goes")
	o.addStoreFlags(f)
	o.parquet.add(f)
	f.Int64Var(&o.Store.MaxBytes, "max-bytes", 10<<30, "size of the store at which the oldest data goes")
}

// header is a field line of HTTP (RFC 9110, §5), of printable characters.
var header = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^[:cntrl:]]*?)[ \t]*$")

// headers is a flag that adds a header each time it is given.
type headers func(name, value string)

// Set implements pflag.Value.
func (add headers) Set(s string) error {
	m := header.FindStringSubmatch(s)
	if m == nil {
		return errors.New("want NAME: VALUE, e.g. X-Scope-OrgID: mesh")
	}
	add(m[1], m[2])
	return nil
}

// String implements pflag.Value.
func (headers) String() string { return "" }

// Type implements pflag.Value.
func (headers) Type() string { return "header" }
