package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/sdc/load"
)

func runLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o load.Options
	f := pflag.NewFlagSet("sdc load", pflag.ContinueOnError)
	f.StringSliceVar(&o.URLs, "url", []string{"http://proxy-access-control:9180"}, "`URL`s that get requests in turn")
	f.Float64Var(&o.Rate, "rate", 20, "requests a second")
	f.DurationVar(&o.Duration, "duration", 0, "end after that time; 0: when told to")
	f.IntVar(&o.Requests, "requests", 0, "end after that many requests; 0: no limit")
	f.StringSliceVar(&o.Methods, "method", nil, "`methods` to draw from (default: the mix of the sample, or GET with --path)")
	f.StringSliceVar(&o.Paths, "path", nil, "`paths` to draw from (default: the mix of the sample, or / with --method)")
	f.StringArrayVar(&o.Agents, "agent", nil, "user `agent` to draw; again for several (default: those of the sample)")
	f.BoolVar(&o.Clients, "clients", false, "let each user agent be a client of its own by X-Forwarded-For, 203.0.113.1 and up")
	f.Uint64Var(&o.Seed, "seed", 0, "repeat the load of that seed; 0: a new one")
	f.DurationVar(&o.Timeout, "timeout", 0, "longest time for an answer (default 5s)")
	err := parse(f, args, stderr, "Sends requests at a rate, and prints what came back as JSON.\n\nUsage:\n  sdc load [flags]\n\nExamples:\n"+
		"  sdc load --rate 100 --duration 30s\n  sdc load --path /,/status/418 --method GET,POST --agent curl/8.14.1\n")
	if err != nil {
		return err
	}
	g, err := load.New(o)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	if err := g.Run(ctx); err != nil {
		return err
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(g.Tally())
}
