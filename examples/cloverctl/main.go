// Command cloverctl asks and controls Clover from the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/opnfv/clover/examples/cloverctl/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := command.Run(ctx, os.Args[1:], command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Program: os.Args[0]})
	stop()
	os.Exit(code)
}
