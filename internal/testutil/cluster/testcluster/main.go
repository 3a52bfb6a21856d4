// Command testcluster makes, lists and removes Kubernetes clusters such as
// Clover's tests have, and loads images into them.
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
	}
	return errors.New(usage)
}

// up makes the cluster, unless it is there, and says how to use it.
func up(ctx context.Context, name string, stdout, stderr io.Writer) error {
	s, err := find(name)
	if err != nil {
		return err
	}
	if s == nil {
		s, err = cluster.Up(ctx, cluster.Options{Name: name, Keep: true, Progress: stderr})
		if err != nil {
			return err
		}
	}
	kubeconfig, err := s.Kubeconfig()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "export KUBECONFIG=%s\n", kubeconfig)
	return err
}

// find returns the cluster of that name if it is up and can be used.
func find(name string) (*cluster.State, error) {
	list, err := cluster.List()
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.Name == name && s.NodeAddress != "" {
			return s, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

func status(stdout io.Writer) error {
	list, err := cluster.List()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(stdout, "no cluster is up: make one by 'make cluster-up'")
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
