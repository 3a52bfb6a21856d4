// Package access has the flags that say how a program's API is protected.
package access

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/api/server/kubeauth"
	"github.com/opnfv/clover/examples/internal/cli"
)

// Flags protect the API of a program.
type Flags struct {
	files       certfile.Files
	clientNames []string
	method      string
	tokenFile   string
	audiences   []string
	namespace   string
	kubeconfig  string
	rate        float64
	timeout     time.Duration
	healthAddr  string
	metricsAddr string
	allowRemote bool
}

// Values of --auth.
const (
	authNone       = "none"
	authTokenFile  = "token-file"
	authKubernetes = "kubernetes"
)

// Add adds the flags to a set; rate is the default of --rate-limit.
func (f *Flags) Add(set *pflag.FlagSet, rate float64) {
	set.StringVar(&f.files.Cert, "tls-cert-file", "", "PEM `file` with the server's certificate and its chain; turns TLS on")
	set.StringVar(&f.files.Key, "tls-key-file", "", "PEM `file` with the certificate's key")
	set.StringVar(&f.files.CA, "tls-client-ca-file", "", "PEM `file` with the authorities of client certificates; without --auth each client needs one")
	set.StringSliceVar(&f.clientNames, "tls-client-name", nil, "common `name` that a client certificate must have (may be given again; default: any)")
	set.StringVar(&f.method, "auth", authNone, "how callers are known: none, token-file or kubernetes (TokenReview and RBAC)")
	set.StringVar(&f.tokenFile, "token-file", "", "`file` of lines token,user,role for --auth token-file; a role is reader or operator")
	set.StringSliceVar(&f.audiences, "auth-audience", nil, "for --auth kubernetes: `audience` that tokens must be for (default: the Kubernetes API's)")
	set.StringVar(&f.namespace, "auth-namespace", "", "for --auth kubernetes: `namespace` whose RoleBindings count (default: the pod's own)")
	set.StringVar(&f.kubeconfig, "auth-kubeconfig", "", "for --auth kubernetes: `file` that says how the cluster is reached (default: as its pods do)")
	set.Float64Var(&f.rate, "rate-limit", rate, "requests a second that one caller may make, -1 for any number")
	set.DurationVar(&f.timeout, "answer-timeout", 30*time.Second, "longest `time` for an answer that is not a stream")
	set.StringVar(&f.healthAddr, "health-addr", "", "`address` of /healthz and /readyz besides, without TLS and open to all")
	set.StringVar(&f.metricsAddr, "metrics-addr", "", "`address` of these and of /metrics besides, without TLS and open to all")
	set.BoolVar(&f.allowRemote, "allow-remote", false, "allow addresses other than loopback also without TLS or authentication: insecure")
}

// Apply puts what the flags say into the options of a server, whose Logger
// has to be set.
func (f *Flags) Apply(o *server.Options) error {
	if f.rate == 0 {
		return cli.Usagef("--rate-limit 0 would refuse everything; want a number above, or -1 for no limit")
	}
	if f.timeout <= 0 {
		return cli.Usagef("--answer-timeout %v is not longer than 0s", f.timeout)
	}
	o.Timeout = f.timeout
	o.RateLimit, o.HealthAddr, o.MetricsAddr, o.AllowRemote = f.rate, f.healthAddr, f.metricsAddr, f.allowRemote
	if err := f.applyAuth(o); err != nil {
		return err
	}
	return f.applyTLS(o)
}

func (f *Flags) applyTLS(o *server.Options) error {
	if f.files == (certfile.Files{}) {
		return nil
	}
	if f.files.Cert == "" || f.files.Key == "" {
		return cli.Usagef("--tls-cert-file and --tls-key-file are needed together, also for --tls-client-ca-file")
	}
	var err error
	if o.TLS, err = certfile.Server(f.files, o.Authenticator == nil, o.Logger); err != nil {
		return cli.Usagef("TLS: %w", err)
	}
	if f.files.CA == "" {
		if len(f.clientNames) > 0 {
			return cli.Usagef("--tls-client-name needs --tls-client-ca-file")
		}
		return nil
	}
	certificates := auth.Certificates{Names: f.clientNames}
	if o.Authenticator == nil {
		o.Authenticator = certificates
	} else {
		o.Authenticator = auth.First{o.Authenticator, certificates}
	}
	return nil
}

func (f *Flags) applyAuth(o *server.Options) error {
	if f.tokenFile != "" && f.method != authTokenFile {
		return cli.Usagef("--token-file needs --auth %s", authTokenFile)
	}
	if (len(f.audiences) > 0 || f.namespace != "" || f.kubeconfig != "") && f.method != authKubernetes {
		return cli.Usagef("--auth-audience needs --auth %s, and so do --auth-namespace and --auth-kubeconfig", authKubernetes)
	}
	switch f.method {
	case authNone:
		return nil
	case authTokenFile:
		if f.tokenFile == "" {
			return cli.Usagef("--auth %s needs --token-file", authTokenFile)
		}
		tokens, err := auth.NewTokens(f.tokenFile, o.Logger)
		if err != nil {
			return cli.Usagef("--token-file: %w", err)
		}
		o.Authenticator = tokens
		return nil
	case authKubernetes:
		return f.applyKubernetes(o)
	default:
		return cli.Usagef("--auth %q is not %s, %s or %s", f.method, authNone, authTokenFile, authKubernetes)
	}
}

// namespaceFile tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Cluster says how the Kubernetes API is called.
func (f *Flags) Cluster() (*rest.Config, error) {
	if f.kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	}
	return rest.InClusterConfig()
}

// Namespace is that of --auth-namespace or of the pod; "" outside a cluster.
func (f *Flags) Namespace() string {
	if f.namespace != "" || f.kubeconfig != "" {
		return f.namespace
	}
	own, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(own))
}

func (f *Flags) applyKubernetes(o *server.Options) error {
	config, err := f.Cluster()
	if err != nil {
		return cli.Usagef("--auth %s: %w; outside a pod give --auth-kubeconfig", authKubernetes, err)
	}
	reviewer, err := kubeauth.New(kubeauth.Options{Config: config, Audiences: f.audiences, Namespace: f.Namespace()})
	if err != nil {
		return err
	}
	o.Authenticator, o.Authorizer = reviewer, reviewer
	return nil
}
