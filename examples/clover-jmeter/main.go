// Command clover-jmeter runs load tests in a cluster: as the master, which
// takes plans and runs them, or as one of JMeter's slaves.
package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
)

func main() { cli.Main("clover-jmeter", run) }

const usageText = `Runs load tests.

Usage:
  clover-jmeter master [flags]    takes plans and runs them, by JMeter or by itself
  clover-jmeter slave [flags]     makes requests for a master, by JMeter

clover-jmeter master --help lists the flags.
`

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usageText)
		return cli.Usagef("master or slave?")
	}
	switch role := args[0]; {
	case role == "master":
		return runMaster(ctx, args[1:], stdout, stderr)
	case role == "slave":
		return runSlave(ctx, args[1:], stdout, stderr)
	case slices.Contains([]string{"-h", "--help", "help"}, role):
		fmt.Fprint(stderr, usageText)
		return pflag.ErrHelp
	default:
		return cli.Usagef("%q is neither master nor slave", role)
	}
}
