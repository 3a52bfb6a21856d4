// Command sandboxinit is the first process of a sandbox, and the OCI runtime
// in it. Only package sandbox runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opnfv/clover/internal/testutil/cluster/sandbox"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sandboxinit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "init":
		return sandbox.Init(ctx, args[1])
	case len(args) > 0 && args[0] == "runc":
		return sandbox.Runc(args[1:])
	}
	return errors.New("usage: sandboxinit init FILE | runc ARGUMENTS")
}
