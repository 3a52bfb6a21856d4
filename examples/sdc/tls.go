package main

import (
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/sdc/ids"
)

// serverTLS is that of gRPC; nil: none.
func (c *common) serverTLS(*slog.Logger) (*tls.Config, error) {
	if c.cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, cli.Usagef("--tls-cert-file, --tls-key-file: %w", err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}
	if c.ca != "" {
		if t.ClientCAs, err = readPool(c.ca); err != nil {
			return nil, cli.Usagef("--tls-client-ca-file: %w", err)
		}
		t.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return t, nil
}

// alertFlags say where alerts go.
type alertFlags struct{ addr, ca, cert, key string }

func (a *alertFlags) add(f *pflag.FlagSet) {
	f.StringVar(&a.addr, "alerts", "proxy-access-control:50054", "`address` of the proxy's gRPC, which is told of alerts; empty for none")
	f.StringVar(&a.ca, "alerts-ca-file", "", "PEM `file` with the authorities of the proxy's certificate; turns TLS on")
	f.StringVar(&a.cert, "alerts-cert-file", "", "PEM `file` with the certificate that is shown to the proxy")
	f.StringVar(&a.key, "alerts-key-file", "", "PEM `file` with that certificate's key")
}

// dial makes the notifier. Nothing is connected before the first alert.
func (a *alertFlags) dial(r *role) (ids.Notifier, func(), error) {
	if a.addr == "" {
		return nil, func() {}, nil
	}
	creds := insecure.NewCredentials()
	host, _, err := net.SplitHostPort(a.addr)
	if err != nil {
		return nil, nil, cli.Usagef("--alerts: %w", err)
	}
	switch {
	case a.ca != "":
		t := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host}
		if t.RootCAs, err = readPool(a.ca); err != nil {
			return nil, nil, cli.Usagef("--alerts-ca-file: %w", err)
		}
		if a.cert != "" {
			pair, err := tls.LoadX509KeyPair(a.cert, a.key)
			if err != nil {
				return nil, nil, cli.Usagef("--alerts-cert-file, --alerts-key-file: %w", err)
			}
			t.Certificates = []tls.Certificate{pair}
		}
		creds = credentials.NewTLS(t)
	case !r.common.insecure && !isLoopback(host):
		return nil, nil, cli.Usagef("--alerts %s is not a loopback address: give --alerts-ca-file, or --insecure where a mesh encrypts", a.addr)
	}
	conn, err := grpc.NewClient("dns:///"+a.addr, grpc.WithTransportCredentials(creds),
		grpc.WithUnaryInterceptor(r.sidecar.UnaryClient(a.addr)))
	if err != nil {
		return nil, nil, cli.Usagef("--alerts: %w", err)
	}
	return ids.NewProxyNotifier(conn), func() { _ = conn.Close() }, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
