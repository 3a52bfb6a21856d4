// Package kubernetes finds what to trace in a cluster: [Watcher] follows the
// pods of a node. What it hands on is computed by [Cluster.Plan], which is a
// pure function of pods, services, endpoint slices and a [target.Selection],
// and found on the node by a [Finder].
//
// The interface of a pod is the host's end of its veth pair. Where a sidecar
// of a mesh encrypts what leaves the pod, it is the pod's loopback interface,
// on which sidecar and application talk in the clear.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/opnfv/clover/clovisor/target"
)

// Options adjust [Watcher]. The zero value works in a pod whose
// spec sets NODE_NAME.
type Options struct {
	// Node is the node whose pods are followed; "" is what the environment's
	// NODE_NAME says, else the host's name.
	Node string
	// Selection is what is traced until Select is called.
	Selection target.Selection
	// Finder finds the pods on the node; nil is a [NodeFinder].
	Finder Finder
	// Logger hears of trouble with the API server; nil: silence.
	Logger *slog.Logger
}

// Watcher follows the pods of one node by watching the API server, which
// it asks for pods, services and endpoint slices and nothing else.
type Watcher struct {
	node   string
	finder Finder
	logger *slog.Logger
	http   *http.Client

	pods, services, slices cache.SharedIndexInformer

	wake chan struct{} // something may be different

	mu        sync.Mutex
	selection target.Selection
	encrypted map[string]bool // IDs of targets
}

// New returns a Watcher of the cluster of that configuration.
func New(config *rest.Config, o Options) (*Watcher, error) {
	if o.Finder == nil {
		o.Finder = NodeFinder{}
	}
	k := &Watcher{
		node: cmp.Or(o.Node, os.Getenv("NODE_NAME")), finder: o.Finder, logger: o.Logger, selection: o.Selection,
		wake: make(chan struct{}, 1), encrypted: map[string]bool{},
	}
	if k.logger == nil {
		k.logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if k.node == "" {
		if k.node, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("target: name of this node: %w", err)
		}
	}
	if k.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("target: client of the API server: %w", err)
	}
	return k, k.watches(config)
}

// watches prepares the three watches. Endpoint slices that Kubernetes itself
// makes say nothing that services do not: they are left out.
func (k *Watcher) watches(config *rest.Config) error {
	core, err := k.client(config, "/api", corev1.SchemeGroupVersion)
	if err != nil {
		return err
	}
	discovery, err := k.client(config, "/apis", discoveryv1.SchemeGroupVersion)
	if err != nil {
		return err
	}
	byHand := discoveryv1.LabelManagedBy + "!=endpointslice-controller.k8s.io"
	for _, w := range []struct {
		informer *cache.SharedIndexInformer
		client   rest.Interface
		resource string
		object   runtime.Object
		adjust   func(*metav1.ListOptions)
	}{
		{&k.pods, core, "pods", &corev1.Pod{}, func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", k.node).String()
		}},
		{&k.services, core, "services", &corev1.Service{}, func(*metav1.ListOptions) {}},
		{&k.slices, discovery, "endpointslices", &discoveryv1.EndpointSlice{}, func(o *metav1.ListOptions) { o.LabelSelector = byHand }},
	} {
		list := cache.NewFilteredListWatchFromClient(w.client, w.resource, metav1.NamespaceAll, w.adjust)
		informer := cache.NewSharedIndexInformerWithOptions(listFirst{list}, w.object, cache.SharedIndexInformerOptions{})
		err := errors.Join(
			informer.SetTransform(slim),
			informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
				k.logger.Warn("the API server does not tell what is new; what is known is traced on", "resource", w.resource, "error", err)
			}),
		)
		if err != nil {
			return fmt.Errorf("target: %s: %w", w.resource, err)
		}
		if _, err := informer.AddEventHandler(wakeUp{k}); err != nil {
			return fmt.Errorf("target: %s: %w", w.resource, err)
		}
		*w.informer = informer
	}
	return nil
}

// listFirst has an informer list before it watches, as every API server that
// Clover runs with can. Streaming the list would need the right to list only
// with some of them.
type listFirst struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported is what client-go asks for it.
func (listFirst) IsWatchListSemanticsUnSupported() bool { return true }

// client returns one that knows the types of a group and no more: a full
// client set would cost a daemon on every node megabytes.
func (k *Watcher) client(config *rest.Config, path string, group schema.GroupVersion) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), discoveryv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	c := rest.CopyConfig(config)
	c.GroupVersion, c.APIPath = &group, path
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.ContentType = runtime.ContentTypeProtobuf
	c.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	client, err := rest.RESTClientForConfigAndClient(c, k.http)
	if err != nil {
		return nil, fmt.Errorf("target: client of the API server: %w", err)
	}
	return client, nil
}

// slim drops what nobody here reads and what is the most of an object.
func slim(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
	}
	if p, ok := object.(*corev1.Pod); ok {
		p.Spec.Volumes, p.Spec.Tolerations, p.Spec.Affinity, p.Status.Conditions = nil, nil, nil, nil
		for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
			for i := range list {
				list[i] = corev1.Container{Name: list[i].Name, Ports: list[i].Ports}
			}
		}
	}
	return object, nil
}

// wakeUp notes that an object has changed.
type wakeUp struct{ k *Watcher }

func (w wakeUp) OnAdd(any, bool)   { w.k.Wake() }
func (w wakeUp) OnUpdate(_, _ any) { w.k.Wake() }
func (w wakeUp) OnDelete(any)      { w.k.Wake() }

// Wake has the node looked at again soon. It is safe for concurrent use.
func (k *Watcher) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Select changes what is traced. It is safe for concurrent use.
func (k *Watcher) Select(s target.Selection) {
	k.mu.Lock()
	k.selection = s
	k.mu.Unlock()
	k.Wake()
}

// Encrypted notes that TLS was seen at a target of that ID where something
// else was expected, so that the pod is looked at from inside. It may be
// called for each connection, and is safe for concurrent use.
func (k *Watcher) Encrypted(id string) {
	k.mu.Lock()
	known := k.encrypted[id]
	k.encrypted[id] = true
	k.mu.Unlock()
	if !known { // to look at the node means to read of all its processes
		k.Wake()
	}
}

// Node is the node whose pods are followed.
func (k *Watcher) Node() string { return k.node }

const (
	// settle is how long changes are gathered: a new pod comes with several.
	settle = 50 * time.Millisecond
	// minRetry and maxRetry limit the pause before a pod is looked for again
	// that could not be found: it doubles each time.
	minRetry, maxRetry = 200 * time.Millisecond, 10 * time.Second
)

// Run hands on what there is to trace: once when the cluster is known, then
// whenever it is different. It calls update from one goroutine, which may
// keep what it gets. Run ends with ctx, or when the node cannot be looked at.
func (k *Watcher) Run(ctx context.Context, update func(target.Set)) error {
	defer utilnet.CloseIdleConnectionsFor(k.http.Transport)
	group, ctx := errgroup.WithContext(ctx)
	for _, informer := range []cache.SharedIndexInformer{k.pods, k.services, k.slices} {
		group.Go(func() error { informer.RunWithContext(ctx); return nil })
	}
	group.Go(func() error { return watchLinks(ctx, k.Wake) })
	group.Go(func() error { return k.follow(ctx, update) })
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (k *Watcher) follow(ctx context.Context, update func(target.Set)) error {
	if !cache.WaitForCacheSync(ctx.Done(), k.pods.HasSynced, k.services.HasSynced, k.slices.HasSynced) {
		return nil // ctx has ended
	}
	var last *target.Set
	retry, pause := time.NewTimer(0), minRetry
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
			pause = minRetry
			if !sleep(ctx, settle) {
				return nil
			}
		case <-retry.C:
		}
		set, err := k.look()
		if err != nil {
			return err
		}
		if last == nil || !last.Equal(&set) {
			update(set)
			last = &set
		}
		if unfinished(&set) {
			retry.Reset(pause)
			pause = min(2*pause, maxRetry)
		}
	}
}

// unfinished reports whether looking again may find more.
func unfinished(s *target.Set) bool {
	for _, p := range s.Problems {
		if strings.Contains(p.Reason, errNotYet.Error()) {
			return true
		}
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// look finds what is selected of what is known now.
func (k *Watcher) look() (target.Set, error) {
	c := Cluster{Pods: objects[corev1.Pod](k.pods), Services: objects[corev1.Service](k.services), Slices: objects[discoveryv1.EndpointSlice](k.slices)}
	k.mu.Lock()
	selection := k.selection
	there := map[string]bool{}
	for _, p := range c.Pods {
		there[string(p.UID)] = true
	}
	maps.DeleteFunc(k.encrypted, func(id string, _ bool) bool { return !there[id] })
	encrypted := maps.Clone(k.encrypted)
	k.mu.Unlock()
	return k.finder.Find(c.Plan(selection), encrypted)
}

func objects[T any](informer cache.SharedIndexInformer) []*T {
	list := informer.GetStore().List()
	out := make([]*T, 0, len(list))
	for _, o := range list {
		if object, ok := o.(*T); ok {
			out = append(out, object)
		}
	}
	return out
}
