package command

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/examples/cloverctl/internal/diagnose"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// marks are how the outcomes of checks look.
var marks = map[diagnose.State]string{diagnose.OK: "✓", diagnose.Failed: "✗", diagnose.Skipped: "-"}

func (a *app) check() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "check", Short: "Find out what keeps Clover from working", Args: cobra.NoArgs,
		Long: `Looks at everything that Clover needs, from the API server of the cluster to
the spans of the mesh, and says what to do about what is not right. Exit code 1
if something is not.`,
		Example: "  cloverctl check\n  cloverctl check -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usagef("--output %q is not known; want text or json", output)
			}
			a.quiet = true
			var list []diagnose.Check
			good := a.checker().Run(c.Context(), func(check diagnose.Check) {
				list = append(list, check)
				if output == "text" {
					a.printCheck(check)
				}
			})
			if output == "json" {
				enc := json.NewEncoder(a.Out)
				enc.SetIndent("", "  ")
				if err := enc.Encode(map[string]any{"ok": good, "checks": list}); err != nil {
					return err
				}
			}
			if !good {
				return silentError{exitFailure}
			}
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	complete(c, "output", []string{"text", "json"})
	return c
}

// checker looks at the install that the flags name.
func (a *app) checker() *diagnose.Checker {
	return &diagnose.Checker{Connect: a.connect, Controller: a.client, Explain: explain, Namespace: a.namespace()}
}

func (a *app) printCheck(c diagnose.Check) {
	p := show.Printer{Out: a.Out, Color: a.colors()}
	line := fmt.Sprintf("%s %s: %s", marks[c.State], c.Name, show.Clean(c.Detail))
	if c.State == diagnose.Failed {
		line = p.Red(line)
	}
	fmt.Fprintln(a.Out, line)
	if c.Remedy != "" {
		for _, l := range strings.Split(c.Remedy, "\n") {
			fmt.Fprintf(a.Out, "    → %s\n", a.named(show.Clean(l)))
		}
	}
}
