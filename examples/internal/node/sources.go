package node

import (
	"context"
	"os"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/visibility"
)

// sourcePolicy is what requests may name as sources. Those of the command
// line are the operator's own.
func (o *Options) sourcePolicy() (*server.SourcePolicy, error) {
	patterns := o.AllowSources
	if len(patterns) == 0 {
		if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
			return nil, nil
		}
		patterns = []string{server.ServicesOnly}
	}
	trusted := o.JaegerURLs
	if o.PrometheusURL != "" {
		trusted = append(trusted[:len(trusted):len(trusted)], o.PrometheusURL)
	}
	return server.NewSourcePolicy(patterns, trusted...)
}

// opener opens only what the policy allows, whatever the store holds from
// times before it.
type opener struct {
	visibility.OpenSources
	policy *server.SourcePolicy
}

// OpenTraces implements visibility.Opener.
func (o opener) OpenTraces(ctx context.Context, url string) (visibility.TraceSource, error) {
	url, err := o.policy.Resolve(url)
	if err != nil {
		return nil, err
	}
	return o.OpenSources.OpenTraces(ctx, url)
}

// OpenMetrics implements visibility.Opener.
func (o opener) OpenMetrics(ctx context.Context, url string) (visibility.MetricSource, error) {
	url, err := o.policy.Resolve(url)
	if err != nil {
		return nil, err
	}
	return o.OpenSources.OpenMetrics(ctx, url)
}
