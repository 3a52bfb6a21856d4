// Package certfile makes TLS configurations from certificate files and keeps
// them up to date when the files are renewed.
package certfile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/opnfv/clover/internal/reload"
)

// Files are PEM files. A renewal is in force for connections that begin a
// second later; files with a fault are reported and change nothing.
type Files struct {
	// Cert and Key are the own certificate, with its chain, and its key.
	Cert, Key string
	// CA has the certificates that those of the other side are verified by.
	// "": a server takes no client certificates, a client trusts the
	// system's authorities.
	CA string
}

// Server returns the TLS configuration of a server. With a CA, clients may
// show a certificate of it, or have to if requireClient is set. Faults of
// later versions of the files go to logger.
func Server(f Files, requireClient bool, logger *slog.Logger) (*tls.Config, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("a server needs a certificate file and a key file")
	}
	current, err := f.load(logger)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			p := current.Get()
			c := &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: p.certificates, ClientCAs: p.pool,
				// Nobody resumes what a CA that was replaced has vouched for.
				SessionTicketsDisabled: true,
			}
			switch {
			case p.pool == nil:
			case requireClient:
				c.ClientAuth = tls.RequireAndVerifyClientCert
			default:
				c.ClientAuth = tls.VerifyClientCertIfGiven
			}
			return c, nil
		},
	}, nil
}

// Client returns the transport credentials of a gRPC client. Its own
// certificate is optional. Faults of later versions of the files go to
// logger.
func Client(f Files, logger *slog.Logger) (credentials.TransportCredentials, error) {
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("a client certificate needs both its file and its key file")
	}
	current, err := f.load(logger)
	if err != nil {
		return nil, err
	}
	return &client{current: current}, nil
}

// pair is what the files hold.
type pair struct {
	certificates []tls.Certificate
	pool         *x509.CertPool // nil: no CA file
}

func (f Files) load(logger *slog.Logger) (*reload.Value[pair], error) {
	var paths []string
	for _, path := range []string{f.Cert, f.Key, f.CA} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return reload.New(f.parse, func(err error) { logger.Error("certificate files", "error", err) }, paths...)
}

func (f Files) parse(contents [][]byte) (p pair, err error) {
	if f.Cert != "" {
		cert, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return p, fmt.Errorf("%s, %s: %w", f.Cert, f.Key, err)
		}
		p.certificates, contents = []tls.Certificate{cert}, contents[2:]
	}
	if f.CA != "" {
		p.pool = x509.NewCertPool()
		if !p.pool.AppendCertsFromPEM(contents[0]) {
			return p, fmt.Errorf("%s: no PEM certificate in it", f.CA)
		}
	}
	return p, nil
}

// client makes the configuration anew for each connection.
type client struct {
	current    *reload.Value[pair]
	serverName string
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *client) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.now().ClientHandshake(ctx, authority, conn)
}

func (c *client) now() credentials.TransportCredentials {
	p := c.current.Get()
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: p.certificates, RootCAs: p.pool, ServerName: c.serverName,
	})
}

// ServerHandshake implements credentials.TransportCredentials.
func (*client) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("certfile: these are the credentials of a client")
}

// Info implements credentials.TransportCredentials.
func (c *client) Info() credentials.ProtocolInfo { return c.now().Info() }

// Clone implements credentials.TransportCredentials.
func (c *client) Clone() credentials.TransportCredentials {
	return &client{current: c.current, serverName: c.serverName}
}

// OverrideServerName implements credentials.TransportCredentials.
func (c *client) OverrideServerName(name string) error {
	c.serverName = name
	return nil
}
