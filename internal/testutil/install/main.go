// Command install makes the real programs that Clover's tests run against,
// ahead of the tests and with progress lines. What is in the cache already
// costs nothing. What this system cannot have is left out, unless it is asked
// for by name. It may run while tests do.
//
//	go run ./internal/testutil/install                 # everything
//	go run ./internal/testutil/install -only envoy,jaeger
//	go run ./internal/testutil/install -list
//	go run ./internal/testutil/install -prune          # remove old versions
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/opnfv/clover/internal/testutil/components"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

// run makes the components that args choose. It tries each of them, also
// when one before it could not be made.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated names of the `components` to make (default all that this machine needs)")
	set := flags.String("set", "", "of these only `programs`, or only what a Kubernetes cluster needs: programs or cluster")
	prune := flags.Bool("prune", false, "remove the versions that are not current and were not used for 30 days, and exit")
	list := flags.Bool("list", false, "list the components and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *prune {
		return components.Prune(components.KeepUnused, stderr)
	}
	chosen, err := choose(ctx, *only)
	if err != nil {
		return err
	}
	switch *set {
	case "":
	case "programs", "cluster":
		chosen = slices.DeleteFunc(chosen, func(c components.Component) bool { return c.ForCluster() != (*set == "cluster") })
	default:
		return fmt.Errorf("-set %q is not programs or cluster", *set)
	}
	var failed []error
	for _, c := range chosen {
		if *list {
			if _, err := fmt.Fprintf(stdout, "%-12s %s\n", c.Name, c); err != nil {
				return err
			}
			continue
		}
		path, err := c.Ensure(ctx, stderr)
		if errors.Is(err, errors.ErrUnsupported) && *only == "" {
			if _, err := fmt.Fprintf(stderr, "clover: left out: %v\n", err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if _, err := fmt.Fprintf(stdout, "%-12s %s\n", c.Name, path); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// choose returns the components of a comma-separated list, all if it is empty.
func choose(ctx context.Context, only string) ([]components.Component, error) {
	if only == "" {
		return components.Needed(ctx), nil
	}
	var chosen []components.Component
	for name := range strings.SplitSeq(only, ",") {
		c, err := components.Find(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}
