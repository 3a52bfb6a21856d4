package command

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// nameFlag is --name, which is needed only where there are several.
func nameFlag(c *cobra.Command, name *string, what string) {
	c.Flags().StringVar(name, "name", "", "which `"+what+"`, if the controller knows several")
}

// withName adds a name to a route, if there is one.
func withName(route, name string) string {
	if name == "" {
		return route
	}
	return route + "?" + url.Values{"name": {name}}.Encode()
}

func (a *app) createRules() *cobra.Command {
	var file, name string
	c := &cobra.Command{
		Use: "idsrules", Short: "Add a rule to the local rules of an IDS", Args: cobra.NoArgs,
		Example: "  cloverctl create idsrules -f idsrule_scan.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			rule := &snort.AddRulesRequest{}
			if err := a.readManifest("create idsrules", file, rule); err != nil {
				return err
			}
			return a.send(c, "POST", withName("/ids/rules", name), rule, &idsv1.AddRuleResponse{})
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "`file` with sid, protocol, src_ip, src_port, dest_ip, dest_port, msg, rev, content; - is standard input")
	nameFlag(c, &name, "IDS")
	return c
}

func (a *app) startIDS() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "ids", Short: "Start the engine of an IDS", Args: cobra.NoArgs,
		Example: "  cloverctl start ids",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.send(c, "POST", "/ids/start", &idsv1.StartEngineRequest{Name: name}, &idsv1.StartEngineResponse{})
		},
	}
	nameFlag(c, &name, "IDS")
	return c
}

func (a *app) stopIDS() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "ids", Short: "Stop the engine of an IDS and clear its logs", Args: cobra.NoArgs,
		Example: "  cloverctl stop ids",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.send(c, "POST", "/ids/stop", &idsv1.StopEngineRequest{Name: name}, &idsv1.StopEngineResponse{})
		},
	}
	nameFlag(c, &name, "IDS")
	return c
}

func (a *app) getIDS() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "ids", Short: "Show the engine of an IDS, its rules and alerts", Args: cobra.NoArgs,
		Example: "  cloverctl get ids\n  cloverctl get ids -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return answer(c.Context(), a, withName("/ids", name), nil, &idsv1.GetEngineResponse{}, idsTable)
		},
	}
	a.addOutput(c)
	nameFlag(c, &name, "IDS")
	return c
}

func idsTable(res *idsv1.GetEngineResponse) show.Table {
	s := res.GetStatus()
	state := fmt.Sprintf("running, pid %d", s.GetPid())
	if s.GetPid() == 0 {
		state = "stopped"
	}
	t := show.Table{
		Columns: []string{"name", "engine", "version", "state", "rules", "failed_rules"},
		Rows:    [][]any{{res.GetName(), s.GetEngine(), s.GetVersion(), state, s.GetRules(), s.GetFailedRules()}},
		Bad:     func(int) bool { return s.GetProblem() != "" || s.GetFailedRules() > 0 },
	}
	for _, outcome := range slices.Sorted(maps.Keys(s.GetAlerts())) {
		t.Notes = append(t.Notes, fmt.Sprintf("alerts %s: %d", outcome, s.GetAlerts()[outcome]))
	}
	if s.GetProblem() != "" {
		t.Notes = append(t.Notes, s.GetProblem())
	}
	return t
}

func (a *app) getBlocklist() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "blocklist", Short: "Show the clients that a proxy keeps out", Args: cobra.NoArgs,
		Example: "  cloverctl get blocklist\n  cloverctl get blocklist -o csv",
		RunE: func(c *cobra.Command, _ []string) error {
			return answer(c.Context(), a, withName("/blocklist", name), nil, &idsv1.ListBlockedResponse{}, blocklistTable)
		},
	}
	a.addOutput(c)
	nameFlag(c, &name, "proxy")
	return c
}

func blocklistTable(res *idsv1.ListBlockedResponse) show.Table {
	t := show.Table{Columns: []string{"client", "by", "until", "alerts", "signature", "reason", "since"}, Wide: 6}
	for _, e := range res.GetBlocked().GetEntries() {
		by := e.GetOrigin()
		if e.GetDryRun() {
			by += " (dry run)"
		}
		var until any = "removed"
		if e.GetUntil() != nil {
			until = e.GetUntil()
		}
		t.Rows = append(t.Rows, []any{address(e.GetPrefix()), by, until, e.GetAlerts(), e.GetSignatureId(), e.GetReason(), e.GetSince()})
	}
	for _, reason := range slices.Sorted(maps.Keys(res.GetBlocked().GetNotBlocked())) {
		t.Notes = append(t.Notes, fmt.Sprintf("%d of %d alerts did not block: %s",
			res.GetBlocked().GetNotBlocked()[reason], res.GetBlocked().GetAlerts(), reason))
	}
	return t
}

// address writes a network of one address as that address.
func address(prefix string) string {
	p, err := netip.ParsePrefix(prefix)
	if err != nil || !p.IsSingleIP() {
		return prefix
	}
	return p.Addr().String()
}

func (a *app) createBlock() *cobra.Command {
	var name, reason string
	var d time.Duration
	c := &cobra.Command{
		Use: "blocklist ADDRESS|NETWORK", Short: "Keep a client or a network out", Args: cobra.ExactArgs(1),
		Example: "  cloverctl create blocklist 192.0.2.7 --for 1h --reason 'asks for everything'\n  cloverctl create blocklist 198.51.100.0/24",
		RunE: func(c *cobra.Command, args []string) error {
			if d < 0 {
				return usagef("--for %s is not longer than 0s", d)
			}
			block := &nginx.BlockRequest{Prefix: args[0], Reason: cmp.Or(reason, "asked for by hand")}
			if d > 0 {
				block.Duration = durationpb.New(d)
			}
			return a.send(c, "POST", withName("/blocklist", name), block, &idsv1.CreateBlockResponse{})
		},
	}
	c.Flags().DurationVar(&d, "for", 0, "for how long; 0: until it is deleted")
	c.Flags().StringVar(&reason, "reason", "", "why, for people")
	nameFlag(c, &name, "proxy")
	return c
}

func (a *app) deleteBlock() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "blocklist ADDRESS|NETWORK", Short: "Let a client or a network through again", Args: cobra.ExactArgs(1),
		Example: "  cloverctl delete blocklist 192.0.2.7",
		RunE: func(c *cobra.Command, args []string) error {
			return a.send(c, "DELETE", withName("/blocklist/"+args[0], name), &idsv1.DeleteBlockRequest{}, &idsv1.DeleteBlockResponse{})
		},
	}
	nameFlag(c, &name, "proxy")
	return c
}
