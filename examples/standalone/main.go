// Command standalone runs all of Clover in one process: a sample mesh with
// its traffic, the OTLP receiver, the collector, the store, the analytics,
// the gRPC and REST APIs and a status page.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// usageError is a fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode prints an error: 0 all went well, 1 failure, 2 wrong usage.
func exitCode(err error, stderr io.Writer) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "standalone: %v\nSee --help.\n", err)
		return 2
	default:
		fmt.Fprintf(stderr, "standalone: %v\n", err)
		return 1
	}
}
