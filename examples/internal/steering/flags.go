// Package steering has the flags that say where the agents beside load
// balancers, proxies, servers and intrusion detection systems are.
package steering

import (
	"github.com/spf13/pflag"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/agents"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/examples/internal/cli"
)

// Flags name agents.
type Flags struct {
	balancers, servers, proxies, systems []string
	files                                certfile.Files
}

// Add adds the flags to a set.
func (f *Flags) Add(set *pflag.FlagSet) {
	const usage = " with its agents, `NAME=HOST:PORT` (may be given again); each address that HOST resolves to is a replica"
	set.StringSliceVar(&f.balancers, "balancer", nil, "a load balancer"+usage)
	set.StringSliceVar(&f.servers, "web-server", nil, "a web server"+usage)
	set.StringSliceVar(&f.proxies, "proxy", nil, "a proxy"+usage)
	set.StringSliceVar(&f.systems, "ids", nil, "an intrusion detection system"+usage)
	set.StringVar(&f.files.CA, "agent-ca-file", "", "PEM `file` with the authorities of the agents' certificates; turns TLS to them on")
	set.StringVar(&f.files.Cert, "agent-cert-file", "", "PEM `file` with the certificate that is shown to agents")
	set.StringVar(&f.files.Key, "agent-key-file", "", "PEM `file` with the certificate's key")
}

// Apply puts the agents into the options of a server, whose Logger has to be
// set.
func (f *Flags) Apply(o *server.Options) error {
	var all agents.Options
	for _, list := range []struct {
		flag  string
		kind  agents.Kind
		texts []string
	}{
		{"--balancer", agents.Balancer, f.balancers},
		{"--web-server", agents.Server, f.servers},
		{"--proxy", agents.Proxy, f.proxies},
		{"--ids", agents.Detection, f.systems},
	} {
		for _, text := range list.texts {
			t, err := agents.ParseTarget(list.kind, text)
			if err != nil {
				return cli.Usagef("%s %w", list.flag, err)
			}
			all.Targets = append(all.Targets, t)
		}
	}
	if f.files != (certfile.Files{}) {
		if f.files.CA == "" {
			return cli.Usagef("--agent-ca-file is needed with --agent-cert-file")
		}
		creds, err := certfile.Client(f.files, o.Logger)
		if err != nil {
			return cli.Usagef("--agent-ca-file, --agent-cert-file, --agent-key-file: %w", err)
		}
		all.Credentials = creds
	}
	known, err := agents.New(all)
	if err != nil {
		return cli.Usagef("--balancer, --web-server, --proxy, --ids: %w", err)
	}
	o.Balancers, o.Protection = agents.Balancers{Agents: known}, agents.Protection{Agents: known}
	return nil
}
