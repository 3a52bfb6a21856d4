package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

const (
	clovisorSelector = "app=clovisor,app.kubernetes.io/part-of=clover"
	// maxAccount bounds what a node may answer: thousands of lines.
	maxAccount = 16 << 20
)

// asking says how the nodes are asked.
type asking struct {
	atATime   int
	each, all time.Duration // limits of one answer, and of all
}

var nodesAsked = asking{atATime: 16, each: 10 * time.Second, all: time.Minute}

// kernelAccount is what a Clovisor answers on /ledger.
type kernelAccount struct {
	Node     string
	Entries  []kernelEntry
	Problems []struct{ Namespace, Pod, Reason string }
}

// kernelEntry is the account of a pod and protocol.
type kernelEntry struct {
	Namespace, Pod, Interface, Protocol string
	Sessions, Open                      int64
	Outcomes, Dropped                   map[string]int64
}

// kernelLedger asks each Clovisor of the cluster, and says which did not
// answer and what is not traced.
func (a *app) kernelLedger(ctx context.Context) (entries []*v1.LedgerEntry, notes []string) {
	if !a.cluster.Configured() {
		return nil, nil
	}
	cluster, err := a.connect()
	if err != nil {
		return nil, nil // whoever has no cluster has no Clovisor
	}
	listing, cancel := context.WithTimeout(ctx, nodesAsked.each)
	defer cancel()
	pods, err := cluster.Typed().CoreV1().Pods(metav1.NamespaceAll).List(listing, metav1.ListOptions{LabelSelector: clovisorSelector})
	if err != nil {
		return nil, []string{fmt.Sprintf("the sessions that Clovisor has seen are left out: %v", kube.Explain(err))}
	}
	return nodesAsked.ask(ctx, pods.Items, func(ctx context.Context, pod *corev1.Pod) (*kernelAccount, error) {
		return askClovisor(ctx, cluster, pod)
	})
}

// ask asks the nodes side by side. A node that does not answer keeps no other
// one from being heard.
func (q asking) ask(ctx context.Context, pods []corev1.Pod, one func(context.Context, *corev1.Pod) (*kernelAccount, error)) (entries []*v1.LedgerEntry, notes []string) {
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Spec.NodeName, b.Spec.NodeName), cmp.Compare(a.Name, b.Name))
	})
	ctx, cancel := context.WithTimeout(ctx, q.all)
	defer cancel()
	accounts, errs := make([]*kernelAccount, len(pods)), make([]error, len(pods))
	var group errgroup.Group // nothing in it fails: each node has its own error
	group.SetLimit(q.atATime)
	for i := range pods {
		group.Go(func() error {
			if errs[i] = ctx.Err(); errs[i] != nil {
				return nil
			}
			each, done := context.WithTimeout(ctx, q.each)
			defer done()
			accounts[i], errs[i] = one(each, &pods[i])
			return nil
		})
	}
	_ = group.Wait()
	for i, account := range accounts {
		if errs[i] != nil {
			notes = append(notes, fmt.Sprintf("Clovisor on node %s does not answer: %v", pods[i].Spec.NodeName, q.explain(errs[i])))
			continue
		}
		entries = append(entries, account.entries()...)
		for _, p := range account.Problems {
			notes = append(notes, fmt.Sprintf("%s/%s is not traced: %s", p.Namespace, p.Pod, p.Reason))
		}
	}
	return entries, notes
}

// explain says what a limit that is over means.
func (q asking) explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nothing within %s, or within %s for all nodes", q.each, q.all)
	}
	return kube.Explain(err)
}

// askClovisor reads the ledger of a pod. It is on the node's loopback address,
// where the API server connects whoever may forward ports of the pod.
func askClovisor(ctx context.Context, c *kube.Cluster, pod *corev1.Pod) (*kernelAccount, error) {
	port := httpPort(pod)
	if port == 0 {
		return nil, errors.New("its pod has no port named http")
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.DialPod(ctx, pod.Namespace, pod.Name, port)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/ledger", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", res.Status)
	}
	account := &kernelAccount{}
	return account, json.NewDecoder(io.LimitReader(res.Body, maxAccount)).Decode(account)
}

// httpPort is the port of a pod that is named so; 0 if there is none.
func httpPort(pod *corev1.Pod) int32 {
	for i := range pod.Spec.Containers {
		for _, p := range pod.Spec.Containers[i].Ports {
			if p.Name == "http" {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// wholeOutcomes are those of sessions of which nothing is missing.
var wholeOutcomes = map[string]bool{"paired": true, "pushed": true}

// entries are an account in the words of the collector's: a session that is
// whole is kept, one that is open is seen and not yet anything else.
func (k *kernelAccount) entries() []*v1.LedgerEntry {
	var out []*v1.LedgerEntry
	for _, e := range k.Entries {
		name := e.Interface
		if e.Pod != "" {
			name = e.Pod + "." + e.Namespace
		}
		entry := &v1.LedgerEntry{
			Source: "clovisor@" + k.Node, Service: name + " " + e.Protocol, Seen: e.Sessions,
			Rejected: map[string]int64{}, Dropped: map[string]int64{}, Balance: e.Sessions - e.Open,
		}
		for outcome, n := range e.Outcomes {
			switch {
			case wholeOutcomes[outcome]:
				entry.Kept += n
			case outcome == "truncated":
				entry.Truncated += n
			default:
				entry.Rejected[outcome] += n
			}
			entry.Balance -= n
		}
		for reason, n := range e.Dropped {
			entry.Dropped[reason+" packets"] += n
		}
		out = append(out, entry)
	}
	return out
}
