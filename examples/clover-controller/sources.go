package main

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/kubesource"
	"github.com/opnfv/clover/examples/internal/access"
	"github.com/opnfv/clover/examples/internal/cli"
)

// sourceFlags say what requests may name as Jaeger or Prometheus.
type sourceFlags struct {
	namespaces []string
	hosts      []string
}

func (s *sourceFlags) add(f *pflag.FlagSet) {
	f.StringSliceVar(&s.namespaces, "source-namespace", nil, "`namespace` whose services requests may name as Jaeger or Prometheus, * for all (may be given again; default: services are not looked up, the collector decides)")
	f.StringSliceVar(&s.hosts, "allow-source", nil, "`pattern` of other hosts that requests may name; the collector has to allow them too (may be given again)")
}

// sources looks services up in the cluster that also knows the callers.
func (s *sourceFlags) sources(a *access.Flags) (out server.CheckedSources, err error) {
	if len(s.namespaces) == 0 {
		if len(s.hosts) > 0 {
			return out, cli.Usagef("--allow-source needs --source-namespace: without, the collector decides")
		}
		return out, nil
	}
	if out.Hosts, err = server.NewSourcePolicy(s.hosts); err != nil {
		return out, cli.Usagef("--allow-source: %w", err)
	}
	config, err := a.Cluster()
	if err != nil {
		return out, cli.Usagef("--source-namespace: %w; outside a pod give --auth-kubeconfig", err)
	}
	namespaces := s.namespaces
	if own := a.Namespace(); own != "" && !slices.Contains(namespaces, own) {
		namespaces = append(slices.Clip(namespaces), own)
	}
	out.Services, err = kubesource.New(kubesource.Options{Config: config, Namespaces: namespaces})
	return out, err
}
