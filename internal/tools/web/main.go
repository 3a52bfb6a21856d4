// Command web runs a script of web/package.json, e.g. build, with the Node.js
// and the packages that are pinned, which it fetches first if they are not in
// the cache. It is run in the root folder of the repository.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/opnfv/clover/internal/testutil/components"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/tools/web SCRIPT...")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, script := range os.Args[1:] {
		if err := components.NPM(ctx, "web", script, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "web:", err)
			stop()
			os.Exit(1)
		}
	}
}
