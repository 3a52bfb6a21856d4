package command

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opnfv/clover/examples/cloverctl/internal/system"
)

// remove is one run of delete system.
type remove struct {
	*app
	system   system.System
	yes      bool
	keepData bool
	wait     bool
	within   time.Duration
	dryRun   string
}

func (a *app) deleteSystem() *cobra.Command {
	r := remove{app: a}
	c := &cobra.Command{
		Use: "system NAME", Short: "Remove a system and the data that it has collected",
		Long: `Removes exactly what create system has made, also the volumes with the data
that was collected; on a terminal it asks before that. The namespace goes too
if cloverctl has made it and nothing else lives in it. With --keep-data the
volumes and the namespace stay, and the next create system finds the data.

The systems are` + systemsHelp(),
		Example: `  cloverctl delete system visibility
  cloverctl delete system visibility --keep-data`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if r.system, err = system.Find(strings.Join(args, " ")); err != nil {
				return err
			}
			return r.run(c.Context())
		},
	}
	systemArgs(c)
	flags := c.Flags()
	flags.BoolVarP(&r.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&r.keepData, "keep-data", false, "keep the volumes with the collected data")
	flags.BoolVar(&r.wait, "wait", true, "wait until everything is gone")
	flags.DurationVar(&r.within, "wait-timeout", defaultWait, "longest time for --wait")
	flags.StringVar(&r.dryRun, "dry-run", "none", "none, or server: let the API server check")
	complete(c, "dry-run", []string{"none", "server"})
	return c
}

func (r *remove) run(ctx context.Context) error {
	if r.dryRun != "none" && r.dryRun != "server" {
		return usagef("--dry-run=%s is not known here; want none or server", r.dryRun)
	}
	c, err := r.connect()
	if err != nil {
		return err
	}
	in := &system.Installer{Cluster: c}
	found, err := in.Removal(ctx, r.system, r.cluster.Namespace(""))
	if err != nil {
		return err
	}
	if len(found.Objects) == 0 && !found.EndsNamespace {
		fmt.Fprintf(r.Out, "Nothing to delete: there is no %s in namespace %s\n", r.system.Name, found.Namespace)
		return nil
	}
	if err := in.PermitRemoval(ctx, found); err != nil {
		return err
	}
	if err := r.ask(ctx, found); err != nil {
		return err
	}
	fmt.Fprintf(r.Out, "Deleting %s\n", r.system.Title)
	return r.delete(ctx, in, found)
}

// ask asks before data is removed, on a terminal.
func (r *remove) ask(ctx context.Context, found *system.Removal) error {
	if len(found.Data) == 0 || r.keepData || r.yes || r.dryRun == "server" {
		return nil
	}
	f, ok := r.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	var names []string
	for _, u := range found.Data {
		names = append(names, u.GetName())
	}
	return confirm(ctx, r.In, r.Err, fmt.Sprintf("Remove all collected data too (volumes: %s; --keep-data keeps them)?", strings.Join(names, ", ")))
}

func (r *remove) delete(ctx context.Context, in *system.Installer, found *system.Removal) error {
	ctx, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	note := ""
	if r.dryRun == "server" {
		note = " (dry run)"
	}
	report := func(res system.Result) error { return printResult(r.Out, res, note) }
	err := in.Delete(ctx, found, system.DeleteOptions{
		KeepData: r.keepData, DryRun: r.dryRun == "server", NoWait: !r.wait,
		Progress: func(text string) { fmt.Fprintln(r.Err, text) },
	}, report)
	if err != nil || r.dryRun == "server" || !found.EndsNamespace {
		return err
	}
	if !r.wait {
		fmt.Fprintf(r.Err, "Namespace %s stays: without --wait it is not known whether something else lives in it\n", found.Namespace)
		return nil
	}
	left, err := in.EndNamespace(ctx, found, report)
	if err != nil || len(left) == 0 {
		return err
	}
	var names []string
	for _, l := range left {
		names = append(names, l.Resource+" "+l.Name)
	}
	fmt.Fprintf(r.Err, "Namespace %s stays, something lives in it: %s\n", found.Namespace, strings.Join(names, ", "))
	return nil
}
