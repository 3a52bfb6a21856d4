package mesh

import (
	"cmp"
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// client-go's own limits, which hold where the caller sets none, are too low
// for a set of some resources. The API server guards itself.
const (
	callsPerSecond = 50
	callsAtOnce    = 300
)

// Options says how a [Client] works. The zero value works.
type Options struct {
	// FieldManager owns the fields that Apply sets; "" is "clover".
	FieldManager string
	// Force takes over fields that another manager owns; without it such a
	// field is an error that names the manager.
	Force bool
	// IstioNamespace is where istiod runs; "" is "istio-system".
	IstioNamespace string
	// Domain is the cluster's domain; "" is "cluster.local".
	Domain string
	// Drain makes Wait also wait until the proxies have ended what they do by
	// listeners that a change has replaced, which takes up to the mesh's
	// drainDuration (45 s by default).
	Drain bool
}

// Client acts on the mesh of one cluster. It is safe for concurrent use.
type Client struct {
	config  *rest.Config
	options Options
	objects dynamic.Interface
	core    corev1.CoreV1Interface
}

// New returns a client of the cluster that config reaches. It makes no call.
func New(config *rest.Config, o Options) (*Client, error) {
	o.FieldManager = cmp.Or(o.FieldManager, "clover")
	o.IstioNamespace = cmp.Or(o.IstioNamespace, "istio-system")
	o.Domain = cmp.Or(o.Domain, "cluster.local")
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS, config.Burst = callsPerSecond, callsAtOnce
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fault("connect", config.Host, err)
	}
	core, err := corev1.NewForConfig(config)
	if err != nil {
		return nil, fault("connect", config.Host, err)
	}
	return &Client{config: config, options: o, objects: objects, core: core}, nil
}

// Action is what happened to a resource.
type Action string

// The actions of Apply and Delete.
const (
	Created   Action = "created"
	Changed   Action = "configured"
	Unchanged Action = "unchanged"
	Deleted   Action = "deleted"
	Absent    Action = "absent"
)

// Result is what happened to one resource.
type Result struct {
	// Object is "KIND NAMESPACE/NAME".
	Object string
	Action Action
}

// Apply brings the set into the cluster by server-side apply. Before it
// changes anything it validates the set against the cluster and lets the API
// server, with Istio's own webhook, check every resource in a dry run. The
// results so far are returned beside an error.
func (c *Client) Apply(ctx context.Context, s Set) ([]Result, error) {
	if _, err := c.plan(ctx, s); err != nil {
		return nil, err
	}
	objects, err := s.Objects()
	if err != nil {
		return nil, &Error{Op: "apply", Target: "the set", Kind: ErrInvalid, Err: err}
	}
	var results []Result
	for i, e := range s.entries() {
		before, err := c.live(ctx, e)
		if err != nil {
			return results, fault("read", e.label(), err)
		}
		after, err := c.patch(ctx, e, objects[i], false)
		if err != nil {
			return results, fault("apply", e.label(), err)
		}
		action := Changed
		switch {
		case before == nil:
			action = Created
		case before.GetResourceVersion() == after.GetResourceVersion():
			action = Unchanged
		}
		results = append(results, Result{Object: e.label(), Action: action})
	}
	return results, nil
}

// plan validates the set and returns what each resource would become.
func (c *Client) plan(ctx context.Context, s Set) ([]*unstructured.Unstructured, error) {
	known, err := c.Known(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Validate(known); err != nil {
		return nil, err
	}
	objects, err := s.Objects()
	if err != nil {
		return nil, &Error{Op: "check", Target: "the set", Kind: ErrInvalid, Err: err}
	}
	planned := make([]*unstructured.Unstructured, len(objects))
	for i, e := range s.entries() {
		if planned[i], err = c.patch(ctx, e, objects[i], true); err != nil {
			return nil, fault("check", e.label(), err)
		}
	}
	return planned, nil
}

func (c *Client) patch(ctx context.Context, e entry, o *unstructured.Unstructured, dry bool) (*unstructured.Unstructured, error) {
	options := metav1.ApplyOptions{FieldManager: c.options.FieldManager, Force: c.options.Force}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return c.of(e).Apply(ctx, o.GetName(), o, options)
}

// of is where a resource's kind and namespace are reached.
func (c *Client) of(e entry) dynamic.ResourceInterface {
	return c.objects.Resource(e.kind.resource).Namespace(e.object.GetNamespace())
}

// live reads a resource; nil if there is none.
func (c *Client) live(ctx context.Context, e entry) (*unstructured.Unstructured, error) {
	o, err := c.of(e).Get(ctx, e.object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) && !isUnknownKind(err) {
		return nil, nil
	}
	return o, err
}

// Get reads back the resources that s names, as far as they exist.
func (c *Client) Get(ctx context.Context, s Set) (Set, error) {
	var found Set
	for _, e := range s.entries() {
		o, err := c.live(ctx, e)
		if err == nil && o != nil {
			err = found.add(o, false)
		}
		if err != nil {
			return Set{}, fault("read", e.label(), err)
		}
	}
	return found, nil
}

// Delete removes the resources that s names, what refers to others first.
// Those that are not there are no error. The results so far are returned
// beside an error.
func (c *Client) Delete(ctx context.Context, s Set) ([]Result, error) {
	var results []Result
	entries := s.entries()
	slices.Reverse(entries)
	for _, e := range entries {
		err := c.of(e).Delete(ctx, e.object.GetName(), metav1.DeleteOptions{})
		switch {
		case err == nil:
			results = append(results, Result{Object: e.label(), Action: Deleted})
		case apierrors.IsNotFound(err):
			results = append(results, Result{Object: e.label(), Action: Absent})
		default:
			return results, fault("delete", e.label(), err)
		}
	}
	return results, nil
}
