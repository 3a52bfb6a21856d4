// Package cli is what the long-running programs have in common: signals,
// exit codes, logging and probes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/grpclog"
)

// Run is a program's run function.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main runs a program until it ends or is told to by SIGINT or SIGTERM, and
// exits: 0 all went well, 1 failure, 2 wrong usage.
func Main(name string, run Run) {
	// What the gRPC libraries log by themselves (a browser that went away,
	// say) is no news to the user; errors reach the callers.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(ExitCode(name, err, os.Stderr))
}

// ExitCode prints an error and returns the exit code for it.
func ExitCode(name string, err error, stderr io.Writer) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v\nSee --help.\n", name, err)
		return 2
	default:
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
}

// usageError is a fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns an error for which a program exits with 2.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Parse parses flags; usage is printed above their list.
func Parse(f *pflag.FlagSet, args []string, stderr io.Writer, usage string) error {
	f.SetOutput(stderr)
	f.SortFlags = false
	f.Usage = func() { fmt.Fprintf(stderr, "%s\nFlags:\n%s", usage, f.FlagUsages()) }
	if err := f.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if f.NArg() > 0 {
		return Usagef("%q is not expected", f.Arg(0))
	}
	return nil
}

// Logger returns a logger of the level that a flag names.
func Logger(level string, stderr io.Writer) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, Usagef("--log-level %q is not debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: l})), nil
}

// AuditLogger returns the logger of changes and refusals, which no
// --log-level silences.
func AuditLogger(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, nil))
}

// Probed answers a kubelet's probes on l while run runs. It ends, and l with
// it, when run does or ctx.
func Probed(ctx context.Context, l net.Listener, probes http.Handler, run func(ctx context.Context) error) error {
	srv := &http.Server{Handler: probes, ReadHeaderTimeout: 10 * time.Second}
	group, ctx := errgroup.WithContext(ctx)
	ctx, end := context.WithCancel(ctx)
	group.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return srv.Close()
	})
	group.Go(func() error {
		defer end()
		return run(ctx)
	})
	return group.Wait()
}
