package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/examples/cloverctl/internal/diagnose"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

func (a *app) sysdump() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "sysdump", Short: "Collect what a bug report needs into a tar.gz", Args: cobra.NoArgs,
		Long: `Collects objects, events and logs of Clover's namespace and of the sample, the
controller's status, ledger and configuration, and the outcome of check. The
data of Secrets, environment variables and arguments that are named like a
secret, tokens, private keys and passwords in URLs are removed. Look through it
before you send it: logs may hold what users of the mesh have sent.`,
		Example: "  cloverctl sysdump\n  cloverctl sysdump -f - | tar tz",
		RunE: func(c *cobra.Command, _ []string) error {
			now := time.Now().UTC()
			folder := "clover-sysdump-" + now.Format("20060102-150405")
			if file == "" {
				file = folder + ".tar.gz"
			} else if file != "-" {
				folder = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".gz"), ".tar")
			}
			a.quiet = true
			var text bytes.Buffer
			v := versions{Client: ownVersion()}
			if err := a.askVersions(c.Context(), &v); err != nil {
				fmt.Fprintf(&text, "error: %v\n", err)
			}
			asText := *a
			asText.Out = &text
			if err := asText.printVersions(show.Printer{Format: "table"}, v); err != nil {
				return err
			}
			d := &diagnose.Sysdump{Checker: a.checker(), Versions: text.String(), Folder: folder, Time: now}
			return a.toFile(file, func(w io.Writer) error { return d.Write(c.Context(), w) })
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "`file` to write, - is standard output (default: clover-sysdump-TIME.tar.gz)")
	return c
}

// toFile writes a file that only the user may read, whole or not at all.
func (a *app) toFile(file string, write func(io.Writer) error) error {
	if file == "-" {
		return write(a.Out)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".sysdump-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it is gone after the rename
	if err := write(tmp); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Out, "Wrote %s\n", file)
	return err
}
