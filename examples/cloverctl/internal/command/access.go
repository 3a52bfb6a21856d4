package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/locate"
)

// configFile is where users of the guide name the controller's address.
const configFile = ".cloverctl.yaml"

const (
	// defaultNodePort is the controller's where nothing else can be known.
	defaultNodePort = "32044"
	// lookTimeout bounds the look into a cluster that the user has not named.
	lookTimeout = 3 * time.Second
)

// access is how the user says where the controller is and who asks.
type access struct {
	controller, token, tokenFile, caFile string
}

func (x *access) add(flags *pflag.FlagSet) {
	flags.StringVar(&x.controller, "controller", "", "`URL` of the clover-controller")
	flags.StringVar(&x.token, "token", "", "bearer `token` for the controller; others on this machine may see it, --token-file is better")
	flags.StringVar(&x.tokenFile, "token-file", "", "`file` with the bearer token for the controller")
	flags.StringVar(&x.caFile, "ca-file", "", "`file` with the CA of the controller's certificate")
}

// source is the token that was given; nil if none was.
func (x *access) source() (locate.TokenSource, error) {
	switch {
	case x.token != "" && x.tokenFile != "":
		return nil, usagef("--token and --token-file both give a token; give one")
	case x.token != "":
		return locate.Fixed(x.token), nil
	case x.tokenFile != "":
		if _, err := locate.File(x.tokenFile).Token(context.Background()); err != nil {
			return nil, usagef("--token-file: %w", err)
		}
		return locate.File(x.tokenFile), nil
	}
	return nil, nil
}

// connect connects to the cluster, once.
func (a *app) connect() (*kube.Cluster, error) {
	if a.connected == nil {
		c, err := a.cluster.Connect(a.Err)
		if err != nil {
			return nil, err
		}
		a.connected = c
		a.atTheEnd = append(a.atTheEnd, c.Close)
	}
	return a.connected, nil
}

// namespace is where Clover lives.
func (a *app) namespace() string { return a.cluster.Namespace(deploy.DefaultNamespace) }

// client returns a client of the controller, after saying where it is.
func (a *app) client(ctx context.Context) (*client.Client, error) {
	t, err := a.target(ctx)
	if err != nil {
		return nil, err
	}
	if !a.quiet {
		if t.file != "" {
			fmt.Fprintf(a.Err, "Using config file: %s\n", t.file)
		}
		way := ""
		if t.forwarded {
			way = " (through the API server)"
		}
		fmt.Fprintf(a.Err, "clover-controller address: %s%s\n", t.address, way)
	}
	return &client.Client{Address: t.address, Timeout: a.timeout, HTTP: t.http}, nil
}

// target is where the controller is and how it is asked.
type target struct {
	address   string
	file      string // the configuration file that names the address
	forwarded bool
	http      *http.Client
}

// target finds the controller: as the user has said, else in the cluster,
// else on this machine.
func (a *app) target(ctx context.Context) (*target, error) {
	if given := cmp.Or(a.access.controller, os.Getenv("CLOVER_CONTROLLER")); given != "" {
		return a.direct(given, "")
	}
	address, file, err := addressFromFile()
	if err != nil {
		return nil, err
	}
	switch {
	case bareHost(address):
		return a.onNode(ctx, address, file)
	case address != "":
		return a.direct(address, file)
	case !a.cluster.Configured():
		return a.direct(defaultController, "")
	}
	return a.inCluster(ctx)
}

// bareHost reports whether an address has neither a scheme nor a port.
func bareHost(address string) bool {
	if address == "" || strings.ContainsAny(address, "/") {
		return false
	}
	_, _, err := net.SplitHostPort(address)
	return err != nil
}

// onNode is a controller behind a NodePort of that node; the port is found
// through the Kubernetes API.
func (a *app) onNode(ctx context.Context, host, file string) (*target, error) {
	host = strings.Trim(host, "[]")
	if !a.cluster.Configured() {
		return a.direct("http://"+net.JoinHostPort(host, defaultNodePort), file)
	}
	t, err := a.found(ctx, host)
	if err != nil {
		return nil, err
	}
	t.file = file
	return t, nil
}

// inCluster finds the controller in the cluster. Where the user has not named
// a cluster, one that does not answer or has no controller does not keep a
// controller on this machine from being used.
func (a *app) inCluster(ctx context.Context) (*target, error) {
	if a.cluster.Given() {
		return a.found(ctx, "")
	}
	look, cancel := context.WithTimeout(ctx, min(lookTimeout, a.timeout))
	defer cancel()
	t, err := a.found(look, "")
	if err == nil || !unreachable(err) || !listens(ctx, defaultController) {
		return t, err
	}
	return a.direct(defaultController, "")
}

func listens(ctx context.Context, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// found asks the Kubernetes API where the controller is.
func (a *app) found(ctx context.Context, host string) (*target, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	e, err := locate.Controller(ctx, c, a.namespace(), host)
	if err != nil {
		return nil, err
	}
	source, err := a.access.source()
	if err != nil {
		return nil, err
	}
	if source == nil && e.Secure() {
		source = &locate.Requested{Cluster: c, Namespace: a.namespace()}
	}
	if err := a.trust(e.Transport); err != nil {
		return nil, err
	}
	t := &target{address: e.URL, forwarded: e.Forwarded()}
	t.http = a.httpClient(e.Transport, source)
	return t, nil
}

// direct is a controller whose address was given.
func (a *app) direct(address, file string) (*target, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usagef("controller address %q is not a URL such as %s", address, defaultController)
	}
	source, err := a.access.source()
	if err != nil {
		return nil, err
	}
	t := &target{address: address, file: file, http: http.DefaultClient}
	if source == nil && a.access.caFile == "" {
		return t, nil
	}
	if source != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, usagef("%s is not encrypted: the token could be read on the way; use https", address)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if err := a.trust(transport); err != nil {
		return nil, err
	}
	t.http = a.httpClient(transport, source)
	return t, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// trust adds --ca-file.
func (a *app) trust(t *http.Transport) error {
	if a.access.caFile == "" {
		return nil
	}
	raw, err := os.ReadFile(a.access.caFile)
	if err != nil {
		return usagef("--ca-file: %w", err)
	}
	pool, err := locate.Pool(raw, "--ca-file "+a.access.caFile)
	if err != nil {
		return usageError{err}
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.RootCAs = pool
	return nil
}

// httpClient is one whose connections end with the command.
func (a *app) httpClient(t *http.Transport, source locate.TokenSource) *http.Client {
	c := &http.Client{Transport: t}
	if source != nil {
		c.Transport = &locate.Bearer{Source: source, Next: t}
	}
	a.atTheEnd = append(a.atTheEnd, c.CloseIdleConnections)
	return c
}

// addressFromFile reads .cloverctl.yaml.
func addressFromFile() (address, file string, err error) {
	var dirs []string
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, home)
	}
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, configFile)
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		var config struct {
			ControllerIP string `yaml:"ControllerIP"`
		}
		if err := yaml.UnmarshalWithOptions(raw, &config); err != nil {
			return "", "", usagef("%s: %w", file, err)
		}
		if config.ControllerIP == "" {
			return "", "", usagef("%s: the key ControllerIP is missing; want e.g. ControllerIP: %s", file, defaultController)
		}
		return config.ControllerIP, file, nil
	}
	return "", "", nil
}
