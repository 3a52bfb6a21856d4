// Command sdc is the sample of Clover's guide, a service delivery controller,
// as the services of a cluster: each subcommand is one of its roles.
package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
)

func main() { cli.Main("sdc", run) }

// subcommand is a role on the command line.
type subcommand struct {
	name, does string
	run        cli.Run
}

// subcommands lists the roles, and what runs several.
func subcommands() []subcommand {
	return []subcommand{
		{"proxy", "proxy-access-control: forwards, mirrors to the IDS, blocks clients it has alerts of", runProxy},
		{"lb", "http-lb: spreads requests over servers", runBalancer},
		{"server", "clover-server: serves a site", runServer},
		{"ids", "snort-ids: looks at mirrored requests by rules, raises alerts", runIDS},
		{"load", "sends requests and prints what came back as JSON", runLoad},
		{"local", "all of them on this machine, without Kubernetes", runLocal},
	}
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		usage(stderr)
		return cli.Usagef("a role is needed")
	}
	if slices.Contains([]string{"-h", "--help", "help"}, args[0]) {
		usage(stderr)
		return pflag.ErrHelp
	}
	var names []string
	for _, r := range subcommands() {
		// The whole sample is known as a flag, too.
		if r.name == strings.TrimPrefix(args[0], "--") {
			return r.run(ctx, args[1:], stdout, stderr)
		}
		names = append(names, r.name)
	}
	return cli.Usagef("%q is no role; the roles are %s", args[0], strings.Join(names, ", "))
}

func usage(stderr io.Writer) {
	fmt.Fprintf(stderr, "Runs one role of the sample.\n\nUsage:\n  sdc ROLE [flags]\n\nRoles:\n")
	for _, r := range subcommands() {
		fmt.Fprintf(stderr, "  %-8s %s\n", r.name, r.does)
	}
	fmt.Fprintf(stderr, "\nsdc ROLE --help lists the flags of a role. Each may also be given in the\nenvironment, --http-addr as SDC_HTTP_ADDR.\n")
}
