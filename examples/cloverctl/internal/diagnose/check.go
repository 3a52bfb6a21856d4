// Package diagnose finds out what keeps Clover from working, and collects
// what a bug report needs.
package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/health"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/system"
)

// State is the outcome of a check.
type State string

// The states.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Skipped State = "skipped" // it cannot be told, or does not matter here
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Checker looks at an install.
type Checker struct {
	// Connect returns the cluster.
	Connect func() (*kube.Cluster, error)
	// Controller returns a client of the controller.
	Controller func(context.Context) (*client.Client, error)
	// Explain words an error for people.
	Explain func(error) error
	// Namespace is where Clover lives.
	Namespace string
}

// Run looks at everything, from the ground up, and reports each check as soon
// as it is done. What rests on something that failed is skipped. It reports
// whether nothing failed.
func (k *Checker) Run(ctx context.Context, report func(Check)) bool {
	good := true
	tell := func(c Check) bool {
		good = good && c.State != Failed
		report(c)
		return c.State == OK
	}
	cluster, c := k.apiServer()
	if tell(c) {
		installed := k.installation(ctx, cluster, tell)
		tell(k.permissions(ctx, cluster, installed))
	}
	api, st, c := k.controller(ctx)
	if !tell(c) {
		return good
	}
	for _, c := range sources(st) {
		tell(c)
	}
	arrive, n := k.spansArrive(ctx, api, st)
	tell(arrive)
	tell(k.envoySends(ctx, cluster, api, n))
	return good
}

// failed is a check that an error has ended.
func (k *Checker) failed(name string, err error) Check {
	detail, remedy, _ := strings.Cut(k.Explain(err).Error(), "\n")
	return Check{Name: name, State: Failed, Detail: detail, Remedy: remedy}
}

func (k *Checker) apiServer() (*kube.Cluster, Check) {
	const name = "API server"
	c, err := k.Connect()
	if errors.Is(err, kube.ErrNoCluster) {
		return nil, Check{Name: name, State: Skipped, Detail: "no Kubernetes cluster is configured"}
	}
	if err != nil {
		return nil, k.failed(name, err)
	}
	version, err := c.Version()
	if err != nil {
		return nil, k.failed(name, err)
	}
	return c, Check{Name: name, State: OK, Detail: fmt.Sprintf("%s, Kubernetes %s", c, version)}
}

// installation checks the namespace and each workload in it; it returns
// whether there is any.
func (k *Checker) installation(ctx context.Context, c *kube.Cluster, tell func(Check) bool) bool {
	if !tell(k.namespace(ctx, c)) {
		return false
	}
	s, err := health.Read(ctx, c, k.Namespace, system.ComponentsOf())
	if err != nil {
		tell(k.failed("pods", err))
		return true
	}
	found := map[string]bool{}
	for _, w := range s.Workloads() {
		found[w.Component] = true
		tell(workloadCheck(&w, k.Namespace))
	}
	for _, component := range []string{"controller", "collector"} {
		if !found[component] {
			tell(Check{
				Name: component, State: Failed, Detail: "is not installed in namespace " + k.Namespace,
				Remedy: "Install it with 'cloverctl create system visibility', or name its namespace with -n",
			})
		}
	}
	return len(found) > 0
}

func (k *Checker) namespace(ctx context.Context, c *kube.Cluster) Check {
	name := "namespace " + k.Namespace
	ns, err := c.Typed().CoreV1().Namespaces().Get(ctx, k.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return Check{Name: name, State: Failed, Detail: "is not there", Remedy: "Install Clover with 'cloverctl create system visibility', or name its namespace with -n"}
	case apierrors.IsForbidden(err):
		return Check{Name: name, State: OK, Detail: "not looked at: you may not read namespaces"}
	case err != nil:
		return k.failed(name, err)
	case ns.DeletionTimestamp != nil:
		return Check{Name: name, State: Failed, Detail: "is being deleted", Remedy: "Wait until it is gone, then 'cloverctl create system visibility'"}
	}
	return Check{Name: name, State: OK, Detail: "is there"}
}

func workloadCheck(w *health.Workload, namespace string) Check {
	c := Check{Name: w.Kind + " " + w.Name, State: OK, Detail: fmt.Sprintf("%d of %d pods are ready", w.Ready, w.Want)}
	if w.Want == 0 {
		c.State, c.Detail = Failed, "is scaled to 0 pods"
		c.Remedy = fmt.Sprintf("Scale it up: kubectl scale %s/%s --replicas=1 -n %s", w.Kind, w.Name, namespace)
		return c
	}
	if w.Done {
		return c
	}
	c.State, c.Remedy = Failed, "Wait with 'cloverctl status --wait'"
	for _, p := range w.Pods {
		if !p.Ready {
			c.Detail += fmt.Sprintf("; pod %s: %s", p.Name, p.State)
		}
	}
	if pod, problem := w.Worst(); problem != nil {
		c.Detail = fmt.Sprintf("pod %s: %s: %s", pod, problem.Reason, problem.Detail)
		if pod == "" {
			c.Detail = problem.Reason + ": " + problem.Detail
		}
		c.Remedy = strings.ReplaceAll(problem.Remedy, "COMPONENT", w.Component)
	}
	return c
}

// permissions checks the rights to use what is installed, or, where nothing
// is, to install it.
func (k *Checker) permissions(ctx context.Context, c *kube.Cluster, installed bool) Check {
	name, rights := "permissions to use Clover", use(k.Namespace)
	if !installed {
		name, rights = "permissions to install Clover", install(k.Namespace)
	}
	missing, err := system.Missing(ctx, c, rights)
	if err != nil {
		return k.failed(name, err)
	}
	if len(missing) == 0 {
		return Check{Name: name, State: OK, Detail: fmt.Sprintf("all %d rights are granted", len(rights))}
	}
	var list []string
	for _, r := range missing {
		list = append(list, r.String())
	}
	return Check{Name: name, State: Failed, Detail: "you may not " + strings.Join(list, ", "), Remedy: "Ask an administrator of the cluster for a role with these rights"}
}

// use are the rights that the commands for what is installed need.
func use(namespace string) []system.Right {
	return []system.Right{
		{Verb: "list", Resource: "services", Namespace: namespace},
		{Verb: "get", Resource: "configmaps", Namespace: namespace},
		{Verb: "list", Resource: "pods", Namespace: namespace},
		{Verb: "get", Resource: "pods", Subresource: "log", Namespace: namespace},
		{Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: namespace},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: namespace},
	}
}

// install are the rights that 'create system visibility' needs.
func install(namespace string) []system.Right {
	var rights []system.Right
	for _, r := range []system.Right{
		{Resource: "namespaces"}, {Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
		{Resource: "services", Namespace: namespace}, {Resource: "serviceaccounts", Namespace: namespace},
		{Resource: "secrets", Namespace: namespace}, {Resource: "configmaps", Namespace: namespace},
		{Group: "apps", Resource: "deployments", Namespace: namespace},
		{Group: "apps", Resource: "statefulsets", Namespace: namespace},
		{Group: "policy", Resource: "poddisruptionbudgets", Namespace: namespace},
		{Group: "networking.k8s.io", Resource: "networkpolicies", Namespace: namespace},
	} {
		for _, verb := range []string{"get", "create", "patch", "delete"} {
			r.Verb = verb
			rights = append(rights, r)
		}
	}
	return rights
}

func (k *Checker) controller(ctx context.Context) (*client.Client, *v1.GetStatusResponse, Check) {
	const name = "controller"
	api, err := k.Controller(ctx)
	if err != nil {
		return nil, nil, k.failed(name, err)
	}
	st := &v1.GetStatusResponse{}
	if _, err := api.Get(ctx, "status", nil, st); err != nil {
		return nil, nil, k.failed(name, err)
	}
	return api, st, Check{Name: name, State: OK, Detail: fmt.Sprintf("%s answers, version %s", api.Address, st.GetVersion())}
}

// recent is how far back spans are looked for.
const recent = 5 * time.Minute

// spansArrive checks that spans have come of late; it returns how many.
func (k *Checker) spansArrive(ctx context.Context, api *client.Client, st *v1.GetStatusResponse) (Check, int64) {
	const name = "spans arrive"
	q := url.Values{"count": {"COUNT_MODE_SPANS"}, "range.last": {fmt.Sprintf("%gs", recent.Seconds())}, "limit": {"1"}}
	res := &v1.GetStatsResponse{}
	if _, err := api.Get(ctx, "stats", q, res); err != nil {
		return k.failed(name, err), 0
	}
	n := res.GetRest().GetCount()
	for _, g := range res.GetGroups() {
		n += g.GetStats().GetCount()
	}
	c := Check{Name: name, State: OK, Detail: fmt.Sprintf("%d in the last %v", n, recent)}
	switch {
	case n > 0:
	case !st.GetCollecting():
		c.State, c.Detail, c.Remedy = Failed, "collecting is stopped", "Start it with 'cloverctl start visibility'"
	case st.GetStore().GetSpans() > 0:
		c.State, c.Detail = Failed, fmt.Sprintf("none in the last %v; %d are in the store", recent, st.GetStore().GetSpans())
		c.Remedy = "Send requests through the mesh; if that changes nothing, see 'cloverctl get visibility ledger'"
	default:
		c.State, c.Detail = Failed, "none has ever arrived"
		c.Remedy = "Send requests through the mesh, and let its proxies or applications send spans to Jaeger or by OTLP to clover-collector:4317"
	}
	return c, n
}

// injected is the label of the pods that have a sidecar of Istio.
const injected = "security.istio.io/tlsMode"

// envoySends checks whether there are spans of Envoy among those that have
// arrived: only Envoy names its node.
func (k *Checker) envoySends(ctx context.Context, c *kube.Cluster, api *client.Client, spans int64) Check {
	const name = "Envoy sends spans"
	q := url.Values{"range.last": {fmt.Sprintf("%gs", recent.Seconds())}, "count": {"COUNT_MODE_SPANS"}, "limit": {"100"}}
	res := &v1.ListValuesResponse{}
	if _, err := api.Get(ctx, "values/node", q, res); err != nil {
		return k.failed(name, err)
	}
	nodes := 0
	for _, v := range res.GetValues() {
		if strings.Contains(v.GetValue(), "~") {
			nodes++
		}
	}
	if nodes > 0 {
		return Check{Name: name, State: OK, Detail: fmt.Sprintf("%d proxies have sent some in the last %v", nodes, recent)}
	}
	sidecars := sidecars(ctx, c)
	switch {
	case sidecars > 0:
		return Check{
			Name: name, State: Failed, Detail: fmt.Sprintf("none of %d pods with a sidecar has sent any in the last %v", sidecars, recent),
			Remedy: "Send requests through the mesh; is tracing on (a Telemetry resource in istio-system with a provider and randomSamplingPercentage: 100)?",
		}
	case spans > 0:
		return Check{Name: name, State: Skipped, Detail: "the spans are from the applications themselves, no pod has a sidecar of Istio"}
	}
	return Check{
		Name: name, State: Failed, Detail: "no pod has a sidecar of Istio, and nothing else sends spans",
		Remedy: "Let Istio inject sidecars (kubectl label namespace NAME istio-injection=enabled, then restart the pods), or let applications send OTLP",
	}
}

// sidecars counts the pods with a sidecar; 0 if that cannot be told.
func sidecars(ctx context.Context, c *kube.Cluster) int {
	if c == nil {
		return 0
	}
	list, err := c.Typed().CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: injected})
	if err != nil {
		return 0
	}
	return len(list.Items)
}
