// Command standalone runs all of Clover in one process: a sample mesh with
// its traffic, the OTLP receiver, the collector, the store, the analytics,
// the gRPC and REST APIs and the dashboard.
package main

import "github.com/opnfv/clover/examples/internal/cli"

func main() { cli.Main("standalone", run) }
