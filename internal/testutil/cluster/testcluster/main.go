// Command testcluster makes and removes the Kubernetes cluster for tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/cluster/sandbox"
)

const usage = `usage: testcluster [-name NAME] up|down|status
       testcluster [-name NAME] load ARCHIVE`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	// What the sandbox runs has arguments of its own.
	if len(args) > 0 && args[0] == "runc" {
		return sandbox.Runc(args[1:])
	}
	flags := flag.NewFlagSet("testcluster", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "clover", "the cluster's `name`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	switch {
	case len(args) == 1 && args[0] == "up":
		return up(ctx, *name, stdout, stderr)
	case len(args) == 1 && args[0] == "down":
		return cluster.Down(*name)
	case len(args) == 1 && args[0] == "status":
		return status(stdout)
	case len(args) == 2 && args[0] == "load":
		return cluster.Load(ctx, *name, args[1])
	case len(args) == 2 && args[0] == "sandbox":
		return sandbox.Init(args[1])
	}
	return errors.New(usage)
}

func up(ctx context.Context, name string, stdout, stderr io.Writer) error {
	s, err := cluster.Up(ctx, cluster.Options{Name: name, Keep: true, Progress: stderr})
	if err != nil {
		return err
	}
	kubeconfig, err := s.Kubeconfig()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "export KUBECONFIG=%s\n", kubeconfig)
	return err
}

func status(stdout io.Writer) error {
	list, err := cluster.List()
	if err != nil {
		return err
	}
	for _, s := range list {
		kubeconfig, err := s.Kubeconfig()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "%s\tnode %s\tKUBECONFIG=%s\n", s.Name, s.NodeAddress, kubeconfig); err != nil {
			return err
		}
	}
	return nil
}
