// Command clovisor traces sessions from the kernel: of the pods of a node, of
// an interface of this machine, or of a capture file.
package main

import (
	"context"
	"io"

	"github.com/opnfv/clover/examples/internal/cli"
)

func main() { cli.Main("clovisor", run) }

const usage = `Traces requests and responses as they pass network interfaces, without a
sidecar, a change to the application or a restart.

Usage:
  clovisor --interface NAME [--port 8080=http]   an interface of this machine
  clovisor --netns NAME [--interface NAME]       those of a network namespace
  clovisor --pcap FILE                           a capture file, - for standard input
  clovisor --kubernetes                          the pods of this node
  clovisor check                                 what this machine can do
`

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "check" {
		return check(args[1:], stdout, stderr)
	}
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.pcap != "" {
		return replay(ctx, s, stdout, stderr)
	}
	return trace(ctx, s, stdout, stderr)
}
