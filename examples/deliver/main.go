// Command deliver packages a Helm chart, stores it, and has Spinnaker render
// and deploy it by the three-stage pipeline of the guide.
package main

import (
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/deliver"
)

func main() { cli.Main("deliver", deliver.Run) }
