package monitoring

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Defaults of [Options].
const (
	DefaultURL              = "http://127.0.0.1:9090"
	DefaultTimeout          = 10 * time.Second
	DefaultMaxSamples       = 500_000
	DefaultMaxResponseBytes = 256 << 20
	DefaultMaxQueryBytes    = 512 << 10
	DefaultStaleWindow      = time.Hour
)

// Options configure a [Client]. The zero value talks to a Prometheus on this
// machine without credentials.
type Options struct {
	// URL of the server; "" = DefaultURL. A path is kept as a prefix, so the
	// URL of a Thanos, Mimir or VictoriaMetrics tenant works too. A user and
	// password in the URL count as BasicAuth.
	URL string

	// BearerToken is sent with each request; "" = none. BearerTokenFile is
	// read again for each request, so that rotated tokens work.
	BearerToken     string
	BearerTokenFile string

	// BasicAuth names a user; zero = none. Exclusive with the bearer token.
	BasicAuth BasicAuth

	// Headers are added to each request, such as X-Scope-OrgID; nil = none.
	Headers http.Header

	// TLS is used for https URLs; zero = the system's roots.
	TLS TLSOptions

	// Timeout of one request, queueing and reading included;
	// 0 = DefaultTimeout, negative = only the context's own deadline.
	Timeout time.Duration

	// MaxSamples bounds one answer, over all its series; 0 = DefaultMaxSamples.
	// A larger answer is an error that matches ErrTooLarge.
	MaxSamples int

	// MaxResponseBytes bounds the body of one answer after decompression;
	// 0 = DefaultMaxResponseBytes.
	MaxResponseBytes int64

	// MaxQueryBytes bounds the PromQL text of one Collect query; a longer one
	// is split into several. 0 = DefaultMaxQueryBytes.
	MaxQueryBytes int

	// StaleWindow is how far back Collect looks to tell a metric that stopped
	// from one that never was; 0 = DefaultStaleWindow, negative = do not look.
	StaleWindow time.Duration

	// Transport replaces the HTTP transport, for tests and for callers with
	// their own; nil = one made from TLS. Exclusive with TLS.
	Transport http.RoundTripper

	// Logger gets one debug line a request; nil = none.
	Logger *slog.Logger
}

// BasicAuth is an HTTP user with a password or a file that holds one. The
// file is read again for each request.
type BasicAuth struct {
	User         string
	Password     string
	PasswordFile string
}

// TLSOptions say whom to trust and who we are. Files are PEM.
type TLSOptions struct {
	CAFile     string // roots to trust; "" = the system's
	CertFile   string // client certificate; read again for each handshake
	KeyFile    string // key of CertFile
	ServerName string // name to verify; "" = the URL's host
	// InsecureSkipVerify accepts any certificate. For tests only.
	InsecureSkipVerify bool
}

// withDefaults checks o and returns a copy without zero values, and the URL
// without credentials.
func (o Options) withDefaults() (Options, *url.URL, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return o, nil, invalidf("options", "URL", "not a URL, write http://HOST:PORT")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return o, nil, invalidf("options", "URL", "%q has no http:// or https:// and host, write http://HOST:PORT", u.Redacted())
	}
	if u.User != nil {
		if o.BasicAuth.User == "" {
			o.BasicAuth.User = u.User.Username()
			o.BasicAuth.Password, _ = u.User.Password()
		}
		u.User = nil
	}
	u.RawQuery, u.Fragment = "", ""
	if err := o.check(); err != nil {
		return o, nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxSamples == 0 {
		o.MaxSamples = DefaultMaxSamples
	}
	if o.MaxResponseBytes == 0 {
		o.MaxResponseBytes = DefaultMaxResponseBytes
	}
	if o.MaxQueryBytes == 0 {
		o.MaxQueryBytes = DefaultMaxQueryBytes
	}
	if o.StaleWindow == 0 {
		o.StaleWindow = DefaultStaleWindow
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Headers = maps.Clone(o.Headers)
	return o, u, nil
}

func (o *Options) check() error {
	bearer := o.BearerToken != "" || o.BearerTokenFile != ""
	switch {
	case o.BearerToken != "" && o.BearerTokenFile != "":
		return invalidf("options", "BearerToken", "give the token or its file, not both")
	case bearer && o.BasicAuth != (BasicAuth{}):
		return invalidf("options", "BasicAuth", "give a bearer token or a user, not both")
	case o.BasicAuth.User == "" && o.BasicAuth != (BasicAuth{}):
		return invalidf("options", "BasicAuth", "password without user")
	case o.BasicAuth.Password != "" && o.BasicAuth.PasswordFile != "":
		return invalidf("options", "BasicAuth", "give the password or its file, not both")
	case (o.TLS.CertFile == "") != (o.TLS.KeyFile == ""):
		return invalidf("options", "TLS", "a client certificate needs both CertFile and KeyFile")
	case o.Transport != nil && o.TLS != (TLSOptions{}):
		return invalidf("options", "Transport", "TLS options have no effect on a given transport")
	case o.MaxSamples < 0 || o.MaxResponseBytes < 0 || o.MaxQueryBytes < 0:
		return invalidf("options", "MaxSamples", "limits cannot be negative")
	}
	return nil
}

// transport returns the HTTP transport and whether this package owns it.
func (o *Options) transport() (http.RoundTripper, error) {
	if o.Transport != nil {
		return o.Transport, nil
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 4
	conf, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig = conf
	return t, nil
}

func (o TLSOptions) config() (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         o.ServerName,
		InsecureSkipVerify: o.InsecureSkipVerify, //nolint:gosec // asked for by name
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, &Error{Op: "options", Target: "TLS.CAFile", Kind: KindInvalid, Err: err}
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, invalidf("options", "TLS.CAFile", "%s holds no PEM certificate", o.CAFile)
		}
	}
	if o.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
			return &pair, err
		}
		if _, err := load(); err != nil {
			return nil, &Error{Op: "options", Target: "TLS.CertFile", Kind: KindInvalid, Err: err}
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return conf, nil
}

// authorize adds the credentials and headers to a request.
func (o *Options) authorize(req *http.Request) error {
	for name, values := range o.Headers {
		req.Header[http.CanonicalHeaderKey(name)] = values
		if http.CanonicalHeaderKey(name) == "Host" && len(values) > 0 {
			req.Host = values[0]
		}
	}
	switch {
	case o.BearerToken != "" || o.BearerTokenFile != "":
		token, err := secret(o.BearerToken, o.BearerTokenFile)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	case o.BasicAuth.User != "":
		password, err := secret(o.BasicAuth.Password, o.BasicAuth.PasswordFile)
		if err != nil {
			return err
		}
		req.SetBasicAuth(o.BasicAuth.User, password)
	}
	return nil
}

func secret(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}
