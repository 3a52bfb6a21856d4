package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/examples/internal/cli"
)

// errNotAble is the end of a check that has found something missing.
var errNotAble = errors.New("this machine cannot trace yet; --pcap FILE reads a capture on any")

// marks are put before features by their state.
var marks = map[kernel.State]string{kernel.OK: "✓", kernel.Missing: "✗"}

// check says what this machine can do, and what to do about what it lacks.
func check(args []string, stdout, stderr io.Writer) error {
	f := pflag.NewFlagSet("clovisor check", pflag.ContinueOnError)
	if err := cli.Parse(f, args, stderr, "Says what this machine can do, and what to do about what it lacks.\n\nUsage:\n  clovisor check\n"); err != nil {
		return err
	}
	r := kernel.Check()
	fmt.Fprintf(stdout, "Linux %s: programs at %s, segments by %s buffer\n", r.Release, r.Hook, r.Buffer)
	for _, feature := range r.Features {
		mark, ok := marks[feature.State]
		if !ok {
			mark = "-"
		}
		fmt.Fprintf(stdout, "%s %s: %s\n", mark, feature.Name, feature.Detail)
		if feature.Remedy != "" {
			fmt.Fprintf(stdout, "    → %s\n", feature.Remedy)
		}
	}
	if r.Err() != nil {
		return errNotAble
	}
	return nil
}
