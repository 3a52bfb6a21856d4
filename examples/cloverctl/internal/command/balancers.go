package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/manifest"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// readFile reads a file, or standard input for "-".
func (a *app) readFile(file string) ([]byte, error) {
	var raw []byte
	var err error
	if file == "-" {
		raw, err = io.ReadAll(io.LimitReader(a.In, manifest.MaxBytes+1))
	} else {
		raw, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return raw, nil
}

// readManifest reads a YAML file into a message.
func (a *app) readManifest(what, file string, into proto.Message) error {
	if file == "" {
		return usagef("%s: -f FILE is needed", what)
	}
	raw, err := a.readFile(file)
	if err != nil {
		return err
	}
	if err := manifest.Read(raw, into); err != nil {
		return usagef("%s: %w", file, err)
	}
	return nil
}

// changeFlags are those of commands that change a balancer.
type changeFlags struct {
	file      string
	dryRun    bool
	ifVersion uint64
	wait      bool
}

func (f *changeFlags) add(c *cobra.Command, keys string) {
	c.Flags().StringVarP(&f.file, "filename", "f", "", "`file` with "+keys+"; - is standard input")
	f.addWithoutFile(c)
}

func (f *changeFlags) addWithoutFile(c *cobra.Command) {
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would change, and change nothing")
	c.Flags().Uint64Var(&f.ifVersion, "if-version", 0, "change nothing unless this is the `version` now, as get lb shows it")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait up to --timeout for agents that do not answer yet")
}

// retryInterval is how often agents that do not answer are asked again.
const retryInterval = 500 * time.Millisecond

// sendChange changes a balancer, and with --wait goes on while its agents do
// not answer.
func (a *app) sendChange(ctx context.Context, f *changeFlags, method, route string, in, out proto.Message) error {
	cl, err := a.client(ctx)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(a.timeout)
	for told := false; ; told = true {
		_, err = cl.Send(ctx, method, route, in, out)
		var st *client.StatusError
		if !f.wait || !errors.As(err, &st) || st.Code != codes.Unavailable || time.Now().After(deadline) {
			return err
		}
		if !told && !a.quiet {
			fmt.Fprintf(a.Err, "Waiting: %s\n", show.Clean(st.Message))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryInterval):
		}
	}
}

// printChange prints what was done, and what differs now.
func (a *app) printChange(message string, changes ...*nginx.Change) {
	fmt.Fprintln(a.Out, show.Clean(message))
	for i, c := range changes {
		if len(changes) > 1 {
			fmt.Fprintf(a.Out, "replica %d:\n", i+1)
		}
		for _, line := range c.GetDiff() {
			fmt.Fprintln(a.Out, "  "+show.Clean(line))
		}
		if !c.GetLosesNone() && c.GetPromise() != "" && !a.quiet {
			fmt.Fprintln(a.Err, "! "+show.Clean(c.GetPromise()))
		}
	}
}

func balancerRoute(name, action string) string {
	return "/loadbalancers/" + url.PathEscape(name) + action
}

// firstName returns the name of a balancer that a command line or else its
// file gives.
func firstName(what string, args []string, fromFile ...string) (string, error) {
	for _, name := range append(args, fromFile...) {
		if name != "" {
			return name, nil
		}
	}
	return "", usagef("%s: which one? Name it on the command line, or in the file", what)
}

func (a *app) setLB() *cobra.Command {
	change, res := &nginx.ModifyLBRequest{}, &lbv1.SetLBResponse{}
	return a.setByFile(setCommand{
		noun: "lb", file: "lbv2.yaml", short: "Replace the servers of a load balancer",
		keys:   "server_port, server_name, lb_name, lb_group, lb_path, lb_list, lb_method",
		change: change, answer: res,
		names: func() []string { return []string{change.GetLbName(), change.GetServerName()} },
		done:  func() []*nginx.Change { return changesOf(res.GetReplicas()) },
	})
}

func (a *app) setServer() *cobra.Command {
	change, res := &nginx.ModifyServerRequest{}, &lbv1.SetServerResponse{}
	return a.setByFile(setCommand{
		noun: "server", file: "server.yaml", short: "Change what a server serves",
		keys:   "server_port, server_name, site_root, site_index, upload_path_config, upload_path_test, locations, files",
		change: change, answer: res,
		names: func() []string { return []string{change.GetServerName()} },
		done:  func() []*nginx.Change { return changesOf(res.GetReplicas()) },
	})
}

func (a *app) setProxy() *cobra.Command {
	change, res := &nginx.ModifyProxyRequest{}, &lbv1.SetProxyResponse{}
	return a.setByFile(setCommand{
		noun: "proxy", file: "proxy.yaml", short: "Change where a proxy sends requests and their copies",
		keys:   "server_port, server_name, location_path, proxy_path, mirror_path, block, unblock",
		change: change, answer: res,
		names: func() []string { return []string{change.GetServerName()} },
		done:  func() []*nginx.Change { return changesOf(res.GetReplicas()) },
	})
}

// setCommand is a command that sends a file to the agents of a balancer.
type setCommand struct {
	noun, file, short, keys string
	change                  proto.Message   // what the file is read into
	answer                  message         // what the controller answers
	names                   func() []string // of the balancer, as the file gives them
	done                    func() []*nginx.Change
}

func (a *app) setByFile(s setCommand) *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{
		Use: s.noun + " [NAME]", Short: s.short, Args: cobra.MaximumNArgs(1),
		Example: fmt.Sprintf("  cloverctl set %[1]s -f %[2]s\n  cloverctl set %[1]s -f %[2]s --dry-run", s.noun, s.file),
		RunE: func(c *cobra.Command, args []string) error {
			what := "set " + s.noun
			if err := a.readManifest(what, f.file, s.change); err != nil {
				return err
			}
			f.override(s.change)
			name, err := firstName(what, args, s.names()...)
			if err != nil {
				return err
			}
			if err := a.sendChange(c.Context(), f, "POST", balancerRoute(name, "/"+s.noun), s.change, s.answer); err != nil {
				return err
			}
			a.printChange(s.answer.GetMessage(), s.done()...)
			return nil
		},
	}
	f.add(c, s.keys)
	c.ValidArgsFunction = a.completeBalancers
	return c
}

// override lets the command line win over a file.
func (f *changeFlags) override(change proto.Message) {
	m := change.ProtoReflect()
	fields := m.Descriptor().Fields()
	if f.dryRun {
		m.Set(fields.ByName("dry_run"), protoreflect.ValueOfBool(true))
	}
	if f.ifVersion != 0 {
		m.Set(fields.ByName("if_version"), protoreflect.ValueOfUint64(f.ifVersion))
	}
}

// changesOf returns what became of the configuration at each replica.
func changesOf[R interface{ GetAnswer() A }, A interface{ GetChange() *nginx.Change }](replicas []R) (list []*nginx.Change) {
	for _, r := range replicas {
		list = append(list, r.GetAnswer().GetChange())
	}
	return list
}

func (a *app) setBalancer() *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "balancer NAME", Short: "Replace the whole configuration of a load balancer, proxy or server", Args: cobra.ExactArgs(1),
		Example: "  cloverctl set balancer http-lb-v2 -f http-lb-v2.yaml --dry-run",
		RunE: func(c *cobra.Command, args []string) error {
			if f.file == "" {
				return usagef("set balancer: -f FILE is needed")
			}
			raw, err := a.readFile(f.file)
			if err != nil {
				return err
			}
			change := &nginx.ApplyConfigRequest{Config: string(raw), DryRun: f.dryRun, IfVersion: f.ifVersion}
			res := &lbv1.ApplyBalancerResponse{}
			if err := a.sendChange(c.Context(), f, "PUT", balancerRoute(args[0], ""), change, res); err != nil {
				return err
			}
			a.printChange(res.GetMessage(), res.GetChanges()...)
			return nil
		},
	}
	f.add(c, "the whole configuration, as get lb NAME --config prints it")
	c.ValidArgsFunction = a.completeBalancers
	return c
}

func (a *app) undoLB() *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "lb NAME", Short: "Go back to the configuration before the last change", Args: cobra.ExactArgs(1),
		Example: "  cloverctl undo lb http-lb-v2",
		RunE: func(c *cobra.Command, args []string) error {
			change := &nginx.UndoRequest{IfVersion: f.ifVersion, DryRun: f.dryRun}
			res := &lbv1.UndoBalancerResponse{}
			if err := a.sendChange(c.Context(), f, "POST", balancerRoute(args[0], "/undo"), change, res); err != nil {
				return err
			}
			a.printChange(res.GetMessage(), res.GetChanges()...)
			return nil
		},
	}
	f.addWithoutFile(c)
	c.ValidArgsFunction = a.completeBalancers
	return c
}

func (a *app) getLB() *cobra.Command {
	var config, history bool
	c := &cobra.Command{
		Use: "lb [NAME]", Short: "Show load balancers, proxies and servers, or one's configuration", Args: cobra.MaximumNArgs(1),
		Example: "  cloverctl get lb\n  cloverctl get lb http-lb-v2\n  cloverctl get lb http-lb-v2 --history",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case config && history:
				return usagef("get lb: --config and --history show different things; give one")
			case len(args) == 0 && (config || history):
				return usagef("get lb: --config and --history need a NAME")
			case len(args) == 0:
				return answer(c.Context(), a, "/loadbalancers", nil, &lbv1.ListBalancersResponse{}, func(res *lbv1.ListBalancersResponse) show.Table {
					return balancersTable(res.GetBalancers())
				})
			case history:
				return answer(c.Context(), a, balancerRoute(args[0], "/versions"), nil, &lbv1.ListVersionsResponse{}, versionsTable)
			case config:
				return a.printConfig(c.Context(), args[0])
			}
			return answer(c.Context(), a, balancerRoute(args[0], ""), nil, &lbv1.GetBalancerResponse{}, balancerTable)
		},
	}
	c.Flags().BoolVar(&config, "config", false, "print the configuration, to be edited and given to set balancer")
	c.Flags().BoolVar(&history, "history", false, "show the versions before, newest first")
	a.addOutput(c)
	c.ValidArgsFunction = a.completeBalancers
	return c
}

func (a *app) printConfig(ctx context.Context, name string) error {
	cl, err := a.client(ctx)
	if err != nil {
		return err
	}
	res := &lbv1.GetBalancerResponse{}
	if _, err := cl.Get(ctx, balancerRoute(name, ""), nil, res); err != nil {
		return err
	}
	_, err = io.WriteString(a.Out, res.GetConfig().GetCurrent().GetConfig())
	return err
}

func balancersTable(list []*lbv1.Balancer) show.Table {
	t := show.Table{
		Columns: []string{"name", "ready", "version", "driver", "address"},
		Bad:     func(i int) bool { return list[i].GetProblem() != "" },
	}
	for _, b := range list {
		t.Rows = append(t.Rows, []any{
			b.GetName(), fmt.Sprintf("%d/%d", b.GetReady(), b.GetReplicas()), b.GetVersion(),
			strings.TrimSpace(b.GetDriver() + " " + b.GetDriverVersion()), b.GetAddress(),
		})
		if b.GetProblem() != "" {
			t.Notes = append(t.Notes, b.GetName()+": "+b.GetProblem())
		}
	}
	return t
}

func balancerTable(res *lbv1.GetBalancerResponse) show.Table {
	t := balancersTable([]*lbv1.Balancer{res.GetBalancer()})
	for line := range strings.Lines(res.GetConfig().GetCurrent().GetConfig()) {
		t.Notes = append(t.Notes, strings.TrimSuffix(line, "\n"))
	}
	if promise := res.GetConfig().GetPromise(); promise != "" {
		t.Notes = append(t.Notes, promise)
	}
	return t
}

func versionsTable(res *lbv1.ListVersionsResponse) show.Table {
	t := show.Table{Columns: []string{"version", "time", "change"}}
	for _, v := range res.GetVersions() {
		t.Rows = append(t.Rows, []any{v.GetNumber(), v.GetTime(), strings.Join(v.GetDiff(), "; ")})
	}
	return t
}

// completeBalancers completes the names that the controller knows.
func (a *app) completeBalancers(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	a.timeout, a.quiet = completionTimeout, true
	res := &lbv1.ListBalancersResponse{}
	cl, err := a.client(ctx)
	if err == nil {
		_, err = cl.Get(ctx, "/loadbalancers", nil, res)
	}
	var names []string
	for _, b := range res.GetBalancers() {
		names = append(names, cobra.CompletionWithDesc(b.GetName(), b.GetDriver()))
	}
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // there is nobody to tell while completing
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
