package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

func (a *app) ledger() *cobra.Command {
	var f pagedFlags
	c := &cobra.Command{
		Use: "ledger", Short: "Show what became of each span and session that was seen", Args: cobra.NoArgs,
		Long: `Shows what became of each span that the collector was given, and of each
session that Clovisor has seen on the nodes. Clovisor is asked through the
API server; where there is no cluster, or none that may be asked, its part is
left out.`,
		Example: "  cloverctl get visibility ledger\n  cloverctl get visibility ledger -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, res := url.Values{}, &v1.GetLedgerResponse{}
			f.query(q)
			raw, err := a.ask(c.Context(), "ledger", q, res)
			if err != nil {
				return err
			}
			var notes []string
			if f.token == "" {
				var kernel []*v1.LedgerEntry
				if kernel, notes = a.kernelLedger(c.Context()); len(kernel) > 0 {
					res.Entries = append(res.Entries, kernel...)
					if raw, err = (protojson.MarshalOptions{UseProtoNames: true}).Marshal(res); err != nil {
						return err
					}
				}
			}
			t := ledgerTable(res)
			t.Notes = notes
			if err := p.Answer(raw, t); err != nil {
				return err
			}
			return more(p, "rows", res.GetNextPageToken())
		},
	}
	a.addOutput(c)
	f.add(c, 1000, "rows")
	return c
}

func ledgerTable(res *v1.GetLedgerResponse) show.Table {
	t := show.Table{
		Columns:      []string{"source", "service", "seen", "kept", "duplicate", "truncated", "rejected", "dropped", "lag", "balance", "watermark"},
		Wide:         9,
		Completeness: res.GetCompleteness(),
		Bad:          func(i int) bool { return res.GetEntries()[i].GetBalance() != 0 },
	}
	for _, e := range res.GetEntries() {
		t.Rows = append(t.Rows, []any{
			e.GetSource(), e.GetService(), e.GetSeen(), e.GetKept(), e.GetDuplicate(),
			e.GetTruncated(), reasons(e.GetRejected()), reasons(e.GetDropped()), e.GetLag(),
			e.GetBalance(), e.GetWatermark(),
		})
	}
	return t
}

// The pods of Clovisor.
const (
	clovisorSelector = "app=clovisor,app.kubernetes.io/part-of=clover"
	clovisorTimeout  = 10 * time.Second
)

// kernelAccount is what a Clovisor answers on /ledger.
type kernelAccount struct {
	Node    string
	Entries []struct {
		Namespace, Pod, Interface, Protocol string
		Sessions, Open                      int64
		Outcomes, Dropped                   map[string]int64
	}
	Problems []struct{ Namespace, Pod, Reason string }
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
	ctx, cancel := context.WithTimeout(ctx, clovisorTimeout)
	defer cancel()
	pods, err := cluster.Typed().CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: clovisorSelector})
	if err != nil {
		return nil, []string{fmt.Sprintf("the sessions that Clovisor has seen are left out: %v", kube.Explain(err))}
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		account, err := askClovisor(ctx, cluster, pod.Namespace, pod.Name, pod.Annotations["prometheus.io/port"])
		if err != nil {
			notes = append(notes, fmt.Sprintf("Clovisor on node %s does not answer: %v", pod.Spec.NodeName, kube.Explain(err)))
			continue
		}
		entries = append(entries, account.entries()...)
		for _, p := range account.Problems {
			notes = append(notes, fmt.Sprintf("%s/%s is not traced: %s", p.Namespace, p.Pod, p.Reason))
		}
	}
	return entries, notes
}

// askClovisor reads the ledger of a pod through the API server.
func askClovisor(ctx context.Context, c *kube.Cluster, namespace, pod, port string) (*kernelAccount, error) {
	raw, err := c.Typed().CoreV1().Pods(namespace).ProxyGet("http", pod, port, "ledger", nil).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	account := &kernelAccount{}
	return account, json.Unmarshal(raw, account)
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
