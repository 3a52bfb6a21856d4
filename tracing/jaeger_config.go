package tracing

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// JaegerTLS adjusts the TLS of a [Jaeger] client. The zero value trusts the
// system's certificate authorities.
type JaegerTLS struct {
	// CAFile has the PEM certificates to trust in place of the system's.
	CAFile string
	// CertFile and KeyFile are the client's certificate and key in PEM. They
	// are read for each handshake, so that they may be renewed.
	CertFile, KeyFile string
	// ServerName is expected in the server's certificate. "": the host.
	ServerName string
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
}

func (t JaegerTLS) config() (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, // asked for by name
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no PEM certificate in it", t.CAFile)
		}
	}
	if t.CertFile == "" && t.KeyFile == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		return &cert, err
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}

// jaegerAuth makes the headers of a request.
type jaegerAuth struct {
	token, tokenFile string
	headers          map[string]string
}

func (a jaegerAuth) apply(set func(name, value string)) error {
	for name, value := range a.headers {
		set(name, value)
	}
	token := a.token
	if a.tokenFile != "" {
		text, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return err
		}
		token = strings.TrimSpace(string(text))
	}
	if token != "" {
		set("authorization", "Bearer "+token)
	}
	return nil
}

// jaegerTarget is where Jaeger is.
type jaegerTarget struct {
	name     string   // for errors and logs, without credentials
	base     *url.URL // of the HTTP APIs; nil: none
	grpcAddr string   // "": none
	grpcTLS  bool
}

const (
	jaegerGRPCPort = "16685"
	errOpConfigure = "configure jaeger"
)

var errNoAddress = errors.New(`want a URL like "http://jaeger-query:16686" or "grpc://jaeger-query:16685"`)

func parseJaegerTarget(o JaegerOptions) (jaegerTarget, error) {
	var t jaegerTarget
	if o.URL == "" && o.GRPCAddr == "" {
		return t, &Error{Op: errOpConfigure, Target: "URL", Kind: ErrorInvalid, Err: errNoAddress}
	}
	if o.URL != "" {
		if err := t.parseURL(o.URL); err != nil {
			return t, &Error{Op: errOpConfigure, Target: "URL", Kind: ErrorInvalid, Err: err}
		}
	}
	if o.GRPCAddr != "" {
		if _, _, err := net.SplitHostPort(o.GRPCAddr); err != nil {
			return t, &Error{Op: errOpConfigure, Target: "GRPCAddr", Kind: ErrorInvalid,
				Err: fmt.Errorf("%q: want HOST:PORT", o.GRPCAddr)}
		}
		t.grpcAddr = o.GRPCAddr
		t.grpcTLS = t.grpcTLS || t.base != nil && t.base.Scheme == "https"
	}
	t.name = cmp.Or(t.name, t.grpcAddr)
	if o.TLS != (JaegerTLS{}) && !t.grpcTLS && (t.base == nil || t.base.Scheme != "https") {
		if o.URL != "" {
			return t, &Error{Op: errOpConfigure, Target: "TLS", Kind: ErrorInvalid,
				Err: errors.New("options for TLS need a URL with https:// or grpcs://")}
		}
		t.grpcTLS = true
	}
	return t, nil
}

func (t *jaegerTarget) parseURL(text string) error {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the text, which may have a password
		}
		return fmt.Errorf("%w: %w", err, errNoAddress)
	}
	if u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: %w", u.Redacted(), errNoAddress)
	}
	t.name = u.Redacted()
	switch u.Scheme {
	case "http", "https":
		u.Path = strings.TrimRight(u.Path, "/")
		t.base = u
		if u.Port() == jaegerGRPCPort {
			t.grpcAddr, t.grpcTLS = u.Host, u.Scheme == "https"
		}
	case "grpc", "grpcs":
		if u.Path != "" && u.Path != "/" || u.User != nil {
			return fmt.Errorf("%q: want only a host and a port after %s://", u.Redacted(), u.Scheme)
		}
		t.grpcAddr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), jaegerGRPCPort))
		t.grpcTLS = u.Scheme == "grpcs"
	default:
		return fmt.Errorf("scheme %q: %w", u.Scheme, errNoAddress)
	}
	return nil
}
