// Package kubesource says which services of a Kubernetes cluster requests may
// name, by looking each up with the cluster's API: a server that connected to
// wherever a name leads could be used to reach what only it can reach.
package kubesource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/opnfv/clover/api/server/auth"
)

// AllNamespaces stands for every namespace in Options.
const AllNamespaces = "*"

// Options of a Checker. Config and Namespaces are needed.
type Options struct {
	// Config is how the Kubernetes API is called. The caller has to be
	// allowed to get services.
	Config *rest.Config
	// Namespaces are those whose services may be named; AllNamespaces: all.
	Namespaces []string
	// Timeout bounds one look-up. 0: 5 s.
	Timeout time.Duration
}

// Checker looks services up. It is safe for concurrent use and remembers
// nothing.
type Checker struct {
	opts   Options
	client rest.Interface
}

// New returns a Checker. It does not call the Kubernetes API yet.
func New(o Options) (*Checker, error) {
	if o.Config == nil {
		return nil, errors.New("kubesource: Config is needed")
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	scheme, version := runtime.NewScheme(), schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, version)
	c := rest.CopyConfig(o.Config)
	c.APIPath, c.GroupVersion, c.ContentType = "/api", &version, runtime.ContentTypeJSON
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	if c.UserAgent == "" {
		c.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("kubesource: %w", err)
	}
	return &Checker{opts: o, client: client}, nil
}

// service is what is looked at. The types of package core/v1 would take
// megabytes.
type service struct {
	Spec struct {
		Type     string            `json:"type"`
		Selector map[string]string `json:"selector"`
	} `json:"spec"`
}

// CheckService returns nil if a service is there, is in a namespace that is
// allowed, and leads to pods: not out of the cluster by a name (ExternalName)
// and not to addresses that somebody has written down. Else the error matches
// auth.ErrDenied, or auth.ErrUnavailable if it cannot be found out.
func (c *Checker) CheckService(ctx context.Context, namespace, name string) error {
	if !slices.Contains(c.opts.Namespaces, namespace) && !slices.Contains(c.opts.Namespaces, AllNamespaces) {
		return fmt.Errorf("%w: services of namespace %s may not be named; allowed are those of %s",
			auth.ErrDenied, namespace, strings.Join(c.opts.Namespaces, ", "))
	}
	s, err := c.get(ctx, namespace, name)
	switch {
	case err != nil:
		return err
	case s.Spec.Type == "ExternalName":
		return fmt.Errorf("%w: service %s.%s is of type ExternalName, which leads out of the cluster", auth.ErrDenied, name, namespace)
	case len(s.Spec.Selector) == 0:
		return fmt.Errorf("%w: service %s.%s selects no pods: its addresses are written by hand", auth.ErrDenied, name, namespace)
	}
	return nil
}

func (c *Checker) get(ctx context.Context, namespace, name string) (*service, error) {
	looking, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	data, err := c.client.Get().Namespace(namespace).Resource("services").Name(name).DoRaw(looking)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: there is no service %s in namespace %s", auth.ErrDenied, name, namespace)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return nil, fmt.Errorf("%w: the cluster does not let Clover get services; bind its service account to a role that does: %w", auth.ErrUnavailable, err)
	default:
		return nil, fmt.Errorf("%w: the Kubernetes API cannot be asked: %w", auth.ErrUnavailable, err)
	}
	var s service
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w: service %s.%s: %w", auth.ErrUnavailable, name, namespace, err)
	}
	return &s, nil
}
