package node

import (
	"context"
	"fmt"
	"os"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/visibility"
)

// DefaultAllowSources are the patterns of a program in a cluster, Kubernetes
// services, and elsewhere those of any host.
func DefaultAllowSources() []string {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return []string{server.ServicesOnly}
	}
	return []string{"*"}
}

// sourcePolicy is what requests may name as sources. Those of the command
// line are the operator's own.
func (o *Options) sourcePolicy() (*server.SourcePolicy, error) {
	if len(o.AllowSources) == 0 {
		return nil, nil
	}
	trusted := o.JaegerURLs
	if o.PrometheusURL != "" {
		trusted = append(trusted[:len(trusted):len(trusted)], o.PrometheusURL)
	}
	policy, err := server.NewSourcePolicy(o.AllowSources, trusted...)
	if err != nil {
		return nil, fmt.Errorf("--allow-source: %w", err)
	}
	return policy, nil
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
