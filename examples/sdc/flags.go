package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
	"github.com/opnfv/clover/tracing"
)

// common are the flags of every role that serves.
type common struct {
	http, grpc, admin string
	cert, key, ca     string
	clients           []string // names of client certificates; none: all
	insecure          bool
	otlp, otlpCA      string
	identity          sidecar.Identity
	drainDelay, grace time.Duration
	level, format     string
	state             string
	nginx             string // "": Clover's own proxy
}

// add adds the flags. name, http and grpc are the defaults of the role.
func (c *common) add(f *pflag.FlagSet, name, http, grpc string) {
	f.StringVar(&c.http, "http-addr", http, "`address` of HTTP")
	f.StringVar(&c.grpc, "grpc-addr", grpc, "`address` of the control by gRPC, - for none")
	f.StringVar(&c.admin, "admin-addr", "127.0.0.1:9181", "`address` of /healthz, /readyz and /metrics")
	f.StringVar(&c.cert, "tls-cert-file", "", "PEM `file` with the certificate of gRPC and its chain")
	f.StringVar(&c.key, "tls-key-file", "", "PEM `file` with the certificate's key")
	f.StringVar(&c.ca, "tls-client-ca-file", "", "PEM `file` with the authorities of client certificates: each client needs one")
	f.StringSliceVar(&c.clients, "tls-client-name", nil, "common `name` that a client certificate needs; again for several (default: any)")
	f.BoolVar(&c.insecure, "insecure", false, "gRPC without TLS on other addresses than loopback, where a mesh encrypts")
	f.StringVar(&c.otlp, "otlp", "", "send spans to this `address` by OTLP, where no mesh does it (default: hand the headers of traces on only)")
	f.StringVar(&c.otlpCA, "otlp-ca-file", "", "PEM `file` with the authorities of the OTLP receiver; turns TLS on")
	f.StringVar(&c.identity.Service, "name", name, "`name` of the service in spans")
	f.StringVar(&c.identity.Version, "version", "latest", "version of the service in spans")
	f.StringVar(&c.identity.Pod, "pod-name", os.Getenv("POD_NAME"), "name of the pod in spans")
	f.StringVar(&c.identity.Namespace, "pod-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the pod in spans")
	f.StringVar(&c.identity.IP, "pod-ip", os.Getenv("POD_IP"), "address of the pod in spans")
	f.DurationVar(&c.drainDelay, "drain-delay", 0, "how long requests are taken after the pod has said that it is not ready")
	f.DurationVar(&c.grace, "grace", 10*time.Second, "how long requests under way are waited for after that")
	f.StringVar(&c.state, "state-dir", "", "`folder` that keeps configurations, rules, alerts and blocks over restarts (default: they are not kept)")
	f.StringVar(&c.level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&c.format, "log-format", "json", "json, or text for people")
}

// addEngine adds the flag of roles that nginx can serve.
func (c *common) addEngine(f *pflag.FlagSet) {
	f.StringVar(&c.nginx, "nginx", "", "nginx's `program`, which then serves in place of Clover's own proxy")
}

// parse parses the flags of a role, from the environment too.
func parse(f *pflag.FlagSet, args []string, stderr io.Writer, usage string) error {
	var err error
	f.VisitAll(func(flag *pflag.Flag) {
		name := "SDC_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if value, ok := os.LookupEnv(name); ok && err == nil {
			if bad := f.Set(flag.Name, value); bad != nil {
				err = cli.Usagef("%s: %w", name, bad)
			}
		}
	})
	if err != nil {
		return err
	}
	return cli.Parse(f, args, stderr, usage)
}

func (c *common) check() error {
	if (c.cert == "") != (c.key == "") || c.ca != "" && c.cert == "" {
		return cli.Usagef("--tls-cert-file and --tls-key-file are needed together, also for --tls-client-ca-file")
	}
	if len(c.clients) > 0 && c.ca == "" {
		return cli.Usagef("--tls-client-name needs --tls-client-ca-file")
	}
	if c.cert != "" && c.ca == "" && !c.insecure && !isLoopback(c.grpc) {
		return cli.Usagef("--grpc-addr %s is not a loopback address: give --tls-client-ca-file, without which everybody may control this service", c.grpc)
	}
	if c.drainDelay < 0 || c.grace < 0 {
		return cli.Usagef("--drain-delay and --grace must not be negative")
	}
	return nil
}

func (c *common) logger(stderr io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.level)); err != nil {
		return nil, cli.Usagef("--log-level %q is not debug, info, warn or error", c.level)
	}
	o := &slog.HandlerOptions{Level: level}
	switch c.format {
	case "json":
		return slog.New(slog.NewJSONHandler(stderr, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(stderr, o)), nil
	}
	return nil, cli.Usagef("--log-format %q is not json or text", c.format)
}

// exporter sends spans; nil if a mesh does.
func (c *common) exporter(logger *slog.Logger) (*tracing.Exporter, error) {
	if c.otlp == "" {
		return nil, nil
	}
	endpoint, opts := c.otlp, tracing.ExporterOptions{Logger: logger, DrainTimeout: c.grace}
	if c.otlpCA != "" {
		pool, err := readPool(c.otlpCA)
		if err != nil {
			return nil, cli.Usagef("--otlp-ca-file: %w", err)
		}
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
		if !strings.Contains(endpoint, "://") {
			endpoint = "grpcs://" + endpoint
		}
	}
	e, err := tracing.NewExporter(endpoint, opts)
	if err != nil {
		return nil, cli.Usagef("--otlp: %w", err)
	}
	return e, nil
}

func readPool(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: no PEM certificate in it", file)
	}
	return pool, nil
}

// portOf returns the port that an address to listen on names; "" if the
// system chooses it.
func portOf(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "0" {
		return ""
	}
	return port
}
