package command

import (
	"github.com/spf13/cobra"

	"github.com/opnfv/clover/examples/cloverctl/internal/podlogs"
)

// defaultTail is how much of a log is shown without --tail.
const defaultTail = 100

func (a *app) logs() *cobra.Command {
	var o podlogs.Options
	c := &cobra.Command{
		Use: "logs COMPONENT", Short: "Print the logs of a component's pods",
		Long: `Prints the logs of the pods of a component (controller, collector, cassandra,
datastore, sdc) or of a service of the sample (e.g. http-lb). With several pods each line
begins with the pod's name. -f goes on over restarts.`,
		Example: "  cloverctl logs collector -f\n  cloverctl logs proxy-access-control -n default --tail 20\n  cloverctl logs controller --previous",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("logs of what? Want one component, e.g. collector")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			o.Namespace, o.Name = a.cluster.Namespace(namespaceOf(args[0])), args[0]
			if o.Follow && o.Previous {
				return usagef("--follow and --previous: what has ended says nothing new; give one")
			}
			return podlogs.Print(c.Context(), cl, o, a.Out)
		},
	}
	flags := c.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on until interrupted")
	flags.BoolVarP(&o.Previous, "previous", "p", false, "of the container that ran before, e.g. one that crashed")
	flags.Int64Var(&o.Tail, "tail", defaultTail, "so many of the last lines of each pod; -1: all")
	flags.DurationVar(&o.Since, "since", 0, "only what is younger than this `duration`")
	flags.StringVarP(&o.Container, "container", "c", "", "of that `container` (default: the pod's first)")
	c.ValidArgsFunction = a.completeComponents
	return c
}
