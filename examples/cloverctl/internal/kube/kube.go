// Package kube is cloverctl's access to a Kubernetes cluster: kubectl's flags
// and configuration files, clients that are made when they are first needed,
// streams to pods, and errors that say what to do.
package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/meta"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
)

// answerTimeout bounds one request to the API server that is not a stream.
const answerTimeout = 30 * time.Second

// Flags are kubectl's flags that choose a cluster. They cost nothing until
// Connect.
type Flags struct {
	config *genericclioptions.ConfigFlags
}

// NewFlags returns flags that choose what kubectl would choose.
func NewFlags() *Flags {
	all := genericclioptions.NewConfigFlags(true)
	return &Flags{&genericclioptions.ConfigFlags{
		KubeConfig: all.KubeConfig, Context: all.Context, Namespace: all.Namespace,
		ClusterName: all.ClusterName, AuthInfoName: all.AuthInfoName,
		Impersonate: all.Impersonate, ImpersonateGroup: all.ImpersonateGroup,
	}}
}

// shorthand is what -n stands for, where a command has not its own.
const shorthand = "n"

// Add adds the flags to a command's.
func (f *Flags) Add(flags *pflag.FlagSet) {
	own := pflag.NewFlagSet("cluster", pflag.ContinueOnError)
	f.config.AddFlags(own)
	taken := flags.ShorthandLookup(shorthand) != nil
	own.VisitAll(func(flag *pflag.Flag) {
		if flags.Lookup(flag.Name) != nil {
			return
		}
		if taken && flag.Shorthand == shorthand {
			flag.Shorthand = ""
		}
		flags.AddFlag(flag)
	})
}

// Given reports whether one of the flags has been given.
func (f *Flags) Given() bool {
	c := f.config
	return *c.KubeConfig != "" || *c.Context != "" || *c.Namespace != "" || *c.ClusterName != "" || *c.AuthInfoName != ""
}

// Namespace returns --namespace, or that default.
func (f *Flags) Namespace(otherwise string) string {
	if *f.config.Namespace != "" {
		return *f.config.Namespace
	}
	return otherwise
}

// Configured reports whether there is a cluster to connect to: a
// configuration file with a context, or the cluster this program runs in.
func (f *Flags) Configured() bool {
	raw, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return true // Connect says what is wrong with it
	}
	return len(raw.Contexts) > 0 || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// Contexts names the contexts of the configuration, and the current one.
func (f *Flags) Contexts() (names []string, current string, err error) {
	raw, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, "", err
	}
	return contextNames(&raw), raw.CurrentContext, nil
}

func contextNames(raw *clientcmdapi.Config) []string {
	var names []string
	for name := range raw.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Cluster is a connection to an API server. Its methods may be called
// concurrently.
type Cluster struct {
	// Context is the name of the context in use; "" inside of a cluster.
	Context string
	// Server is the API server's URL.
	Server string

	config  *rest.Config
	typed   kubernetes.Interface
	streams kubernetes.Interface
	dynamic dynamic.Interface
	meta    metadata.Interface
	disco   discovery.CachedDiscoveryInterface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	idle    func()
}

// quiet keeps what client-go logs by itself from the terminal: its errors
// reach the callers.
var quiet = sync.OnceFunc(func() {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
})

// Connect makes the clients. It asks nothing yet. The API server's warnings
// go to warnings.
func (f *Flags) Connect(warnings io.Writer) (*Cluster, error) {
	quiet()
	loader := f.config.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, &ConfigError{err}
	}
	current := raw.CurrentContext
	if *f.config.Context != "" {
		current = *f.config.Context
	}
	if _, ok := raw.Contexts[current]; !ok && current != "" {
		return nil, &UnknownContextError{Name: current, Known: contextNames(&raw)}
	}
	if !f.Configured() {
		return nil, ErrNoCluster
	}
	if current == "" && len(raw.Contexts) > 0 {
		return nil, &UnknownContextError{Known: contextNames(&raw)}
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, &ConfigError{err}
	}
	config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	return newCluster(config, current)
}

// newCluster makes the clients of a configuration.
func newCluster(config *rest.Config, context string) (*Cluster, error) {
	config.QPS, config.Burst = -1, -1 // the API server limits by itself
	config.UserAgent = "cloverctl"
	c := &Cluster{Context: context, Server: config.Host, config: config}
	calls := rest.CopyConfig(config)
	calls.Wrap(func(next http.RoundTripper) http.RoundTripper { return &naming{c, next} })
	endless, err := rest.HTTPClientFor(calls)
	if err != nil {
		return nil, &ConfigError{err}
	}
	bounded := *endless
	bounded.Timeout = answerTimeout
	typed, typedErr := kubernetes.NewForConfigAndClient(calls, &bounded)
	streams, streamsErr := kubernetes.NewForConfigAndClient(calls, endless)
	dyn, dynErr := dynamic.NewForConfigAndClient(calls, &bounded)
	met, metErr := metadata.NewForConfigAndClient(calls, &bounded)
	if err := errors.Join(typedErr, streamsErr, dynErr, metErr); err != nil {
		return nil, &ConfigError{err}
	}
	c.idle = func() { utilnet.CloseIdleConnectionsFor(endless.Transport) }
	c.typed, c.streams, c.dynamic, c.meta = typed, streams, dyn, met
	c.disco = memory.NewMemCacheClient(typed.Discovery())
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(c.disco)
	return c, nil
}

// Close ends the connections that nobody uses.
func (c *Cluster) Close() { c.idle() }

// Typed returns the client of the built-in kinds.
func (c *Cluster) Typed() kubernetes.Interface { return c.typed }

// Streams returns the same client for answers that go on for ever.
func (c *Cluster) Streams() kubernetes.Interface { return c.streams }

// Dynamic returns the client of all kinds.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// Metadata returns a client that reads nothing but the metadata of objects.
func (c *Cluster) Metadata() metadata.Interface { return c.meta }

// Discovery returns what the API server serves, asked for once.
func (c *Cluster) Discovery() discovery.CachedDiscoveryInterface { return c.disco }

// Mapper maps kinds to resources.
func (c *Cluster) Mapper() meta.RESTMapper { return c.mapper }

// Version returns the API server's version, as in v1.34.4.
func (c *Cluster) Version() (string, error) {
	v, err := c.disco.ServerVersion()
	if err != nil {
		return "", err
	}
	return v.GitVersion, nil
}

// String names the cluster for people.
func (c *Cluster) String() string {
	if c.Context == "" {
		return c.Server
	}
	return fmt.Sprintf("%s (context %s)", c.Server, c.Context)
}

// naming lets errors of the transport say which cluster has not answered.
type naming struct {
	cluster *Cluster
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (n *naming) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := n.next.RoundTrip(r)
	if err != nil && !errors.Is(r.Context().Err(), context.Canceled) {
		return nil, &UnreachableError{Cluster: n.cluster.String(), Err: err}
	}
	return res, err
}

// WrappedRoundTripper lets client-go see what is wrapped.
func (n *naming) WrappedRoundTripper() http.RoundTripper { return n.next }
