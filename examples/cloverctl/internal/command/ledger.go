package command

import (
	"net/url"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

func (a *app) ledger() *cobra.Command {
	var f pagedFlags
	c := &cobra.Command{
		Use: "ledger", Short: "Show what became of each span and session that was seen", Args: cobra.NoArgs,
		Long: `Shows what became of each span that the collector was given, and of each
session that Clovisor has seen on the nodes. Clovisor is asked through the
API server, which wants the right to create pods/portforward in its namespace;
where there is no cluster, or none that may be asked, its part is left out.`,
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
