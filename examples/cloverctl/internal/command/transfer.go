package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/visibility"
)

// transferOutputs are the values of -o.
var transferOutputs = []string{"text", "json"}

func (a *app) exportVisibility() *cobra.Command {
	var dir, output string
	c := &cobra.Command{
		Use: "visibility", Short: "Write spans, metrics, ledger and configuration into a folder", Args: cobra.NoArgs,
		Long: `Writes everything that the store has into a folder: spans as Parquet files, an
hour each, that DuckDB and Spark read too; metrics, the ledger and the
configuration beside them. It may be interrupted and done again, also later:
then it adds what is new, and writes the hours anew that have changed. A folder
is of one store.`,
		Example: "  cloverctl export visibility --to spans\n  cloverctl export visibility --to spans -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("export visibility: --to FOLDER is needed")
			}
			if !slices.Contains(transferOutputs, output) {
				return usagef("--output %q is not known; want %s", output, strings.Join(transferOutputs, " or "))
			}
			cl, err := a.client(c.Context())
			if err != nil {
				return err
			}
			r := &remote{app: a, client: cl, pause: reconnect}
			done, err := r.export(c.Context(), dir)
			if c.Context().Err() != nil {
				fmt.Fprintf(a.Err, "interrupted; what is in %s is whole, and the same command goes on from there\n", dir)
			}
			if err != nil {
				return err
			}
			return printTransfer(a.Out, output, done, fmt.Sprintf("Exported %d traces, %d spans and %d metric points from %s to %s",
				done.Traces, done.Spans, done.Metrics, done.Store, dir))
		},
	}
	c.Flags().StringVar(&dir, "to", "", "`folder` to write into; made if it is missing")
	addTransferFlags(c, &output)
	mustRegister(c, "to", completeFolder)
	return c
}

// exported says what a folder has after an export.
type exported struct {
	Directory string    `json:"directory"`
	Store     string    `json:"store"`
	Traces    int64     `json:"traces"`
	Spans     int64     `json:"spans"`
	Metrics   int64     `json:"metrics"`
	Complete  time.Time `json:"complete_before"` // traces that began before are all there
}

func (a *app) importVisibility() *cobra.Command {
	var output string
	var withConfig bool
	c := &cobra.Command{
		Use: "visibility FOLDER", Short: "Store what export visibility has written",
		Long: `Stores the spans, the metrics and the ledger's losses of a folder that export
visibility has written, or the spans of any folder with such Parquet files.
What the store has already is not counted again: an import that was
interrupted is simply done again. The configuration is taken over with
--config only.`,
		Example: "  cloverctl import visibility spans\n  cloverctl import visibility spans --config",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("import visibility: want one folder that export visibility has written")
			}
			return nil
		},
		ValidArgsFunction: completeFolder,
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(transferOutputs, output) {
				return usagef("--output %q is not known; want %s", output, strings.Join(transferOutputs, " or "))
			}
			if err := holdsExport(args[0]); err != nil {
				return err
			}
			cl, err := a.client(c.Context())
			if err != nil {
				return err
			}
			r := &remote{app: a, client: cl, pause: reconnect}
			done, err := r.importFrom(c.Context(), args[0], withConfig)
			if c.Context().Err() != nil {
				fmt.Fprintf(a.Err, "interrupted; %d spans are new so far; import again for the rest: nothing is counted twice\n", done.Kept)
			}
			if err != nil {
				return err
			}
			text := fmt.Sprintf("Imported %s: %d spans are new, %d were there", args[0], done.Kept, done.Duplicates)
			if done.Spooled > 0 {
				text += fmt.Sprintf(", %d wait on the collector's disk for the store", done.Spooled)
			}
			if err := printTransfer(a.Out, output, done, text); err != nil {
				return err
			}
			return refused(done.Rejected)
		},
	}
	c.Flags().BoolVar(&withConfig, "config", false, "take over the configuration too")
	addTransferFlags(c, &output)
	return c
}

// imported says what became of the spans of a folder.
type imported struct {
	Directory  string         `json:"directory"`
	Kept       int            `json:"kept"`
	Duplicates int            `json:"duplicates"`
	Spooled    int            `json:"spooled"`
	Rejected   map[string]int `json:"rejected"`
}

// remedies of what a store does not take.
var remedies = map[string]string{
	visibility.RejectExpired: "older than the store keeps: give the collector a longer --retention",
	visibility.RejectFuture:  "later than the collector's clock: set its clock",
	visibility.RejectSize:    "larger than the store takes",
	visibility.RejectInvalid: "without an id",
	"trace_too_long":         "of traces that are too long for Cassandra",
}

// refused is the error if not all spans are in the store.
func refused(rejected map[string]int) error {
	var lines []string
	for reason, n := range rejected {
		text := remedies[reason]
		if text == "" {
			text = reason
		}
		lines = append(lines, fmt.Sprintf("%d %s", n, text))
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return fmt.Errorf("the store did not take all spans:\n  %s\nThen import again: nothing is counted twice", strings.Join(lines, "\n  "))
}

func addTransferFlags(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", "text", strings.Join(transferOutputs, ", "))
	complete(c, "output", transferOutputs)
}

func completeFolder(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func printTransfer(out io.Writer, format string, done any, text string) error {
	if format == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(done)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
