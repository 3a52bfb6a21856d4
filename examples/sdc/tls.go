package main

import (
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/loadbalancer"
)

// serverTLS is that of gRPC; nil: none.
func (c *common) serverTLS(logger *slog.Logger) (*tls.Config, error) {
	if c.cert == "" {
		return nil, nil
	}
	t, err := certfile.Server(certfile.Files{Cert: c.cert, Key: c.key, CA: c.ca}, true, logger)
	if err != nil {
		return nil, cli.Usagef("--tls-cert-file, --tls-key-file, --tls-client-ca-file: %w", err)
	}
	if len(c.clients) > 0 {
		certfile.RestrictClients(t, c.clients)
	}
	return t, nil
}

// alertFlags say where alerts go.
type alertFlags struct {
	addr  string
	files certfile.Files
}

func (a *alertFlags) add(f *pflag.FlagSet) {
	f.StringVar(&a.addr, "alerts", "proxy-access-control:50054", "`address` of the proxy's gRPC, which is told of alerts; empty for none")
	f.StringVar(&a.files.CA, "alerts-ca-file", "", "PEM `file` with the authorities of the proxy's certificate; turns TLS on")
	f.StringVar(&a.files.Cert, "alerts-cert-file", "", "PEM `file` with the certificate that is shown to the proxy")
	f.StringVar(&a.files.Key, "alerts-key-file", "", "PEM `file` with that certificate's key")
}

// dial makes the connection to the proxy: nil if nobody is told. Nothing is
// connected before the first alert.
func (a *alertFlags) dial(r *role) (*grpc.ClientConn, error) {
	if a.addr == "" {
		return nil, nil
	}
	if _, err := loadbalancer.ParseAddress(a.addr); err != nil {
		return nil, cli.Usagef("--alerts: %w", err)
	}
	creds := insecure.NewCredentials()
	var err error
	switch {
	case a.files.CA != "":
		if creds, err = certfile.Client(a.files, r.logger); err != nil {
			return nil, cli.Usagef("--alerts-ca-file, --alerts-cert-file, --alerts-key-file: %w", err)
		}
	case a.files != certfile.Files{}:
		return nil, cli.Usagef("--alerts-cert-file and --alerts-key-file need --alerts-ca-file")
	case !r.common.insecure && !isLoopback(a.addr):
		return nil, cli.Usagef("--alerts %s is not a loopback address: give --alerts-ca-file, or --insecure where a mesh encrypts", a.addr)
	}
	// Without it gRPC looks for a TXT record first, which the cluster's DNS asks
	// others for: where they do not answer, the first alert waits for seconds.
	conn, err := grpc.NewClient("dns:///"+a.addr, grpc.WithTransportCredentials(creds), grpc.WithDisableServiceConfig(),
		grpc.WithUnaryInterceptor(r.sidecar.UnaryClient(a.addr)))
	if err != nil {
		return nil, cli.Usagef("--alerts: %w", err)
	}
	return conn, nil
}

// isLoopback reports whether an address is reached from this machine only.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
