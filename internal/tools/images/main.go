// Command images builds the container images of a release, without Docker:
// an OCI layout with all architectures and an archive for each.
//
//	go run ./internal/tools/images -tag 1.0.0
//	go run ./internal/tools/images -arch amd64 clover-controller
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/opnfv/clover/deploy/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := images.Options{Source: ".", Progress: stderr}
	f := flag.NewFlagSet("images", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.Out, "out", filepath.Join("bin", "images"), "`folder` to write to")
	f.StringVar(&o.Registry, "registry", "opnfv", "what stands before the `name` of an image")
	f.StringVar(&o.Tag, "tag", "dev", "the images' `tag`")
	f.StringVar(&o.Revision, "revision", "", "the `commit` that they are built from")
	archs := f.String("arch", "amd64,arm64", "comma-separated `architectures`, local for this machine's")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if o.Created, err = created(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return err
	}
	o.Archs = strings.Split(strings.ReplaceAll(*archs, "local", runtime.GOARCH), ",")
	chosen, err := images.Find(f.Args()...)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	built, err := images.Build(ctx, chosen, o)
	for _, r := range built {
		fmt.Fprintf(stdout, "%s@%s %s\n", r.Ref, r.Digest, r.Layout)
	}
	return err
}

// created reads the time of the sources as other build tools take it.
func created(seconds string) (time.Time, error) {
	if seconds == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("images: SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(n, 0), nil
}
