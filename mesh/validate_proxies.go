package mesh

import (
	"fmt"
	"maps"
	"slices"

	networkingapi "istio.io/api/networking/v1alpha3"
	filters "istio.io/client-go/pkg/apis/networking/v1alpha3"
	telemetry "istio.io/client-go/pkg/apis/telemetry/v1"
)

// needValue are the operations of an EnvoyFilter that put something in.
var needValue = []networkingapi.EnvoyFilter_Patch_Operation{
	networkingapi.EnvoyFilter_Patch_MERGE, networkingapi.EnvoyFilter_Patch_ADD,
	networkingapi.EnvoyFilter_Patch_INSERT_BEFORE, networkingapi.EnvoyFilter_Patch_INSERT_AFTER,
	networkingapi.EnvoyFilter_Patch_INSERT_FIRST, networkingapi.EnvoyFilter_Patch_REPLACE,
}

func (c *checker) envoyFilter(f *filters.EnvoyFilter) {
	c.labelled("spec.workloadSelector.labels", f.Spec.GetWorkloadSelector().GetLabels())
	if len(f.Spec.GetConfigPatches()) == 0 {
		c.bad("spec.configPatches", "is empty: the filter would change nothing")
	}
	for i, p := range f.Spec.GetConfigPatches() {
		at := fmt.Sprintf("spec.configPatches[%d]", i)
		if p.GetApplyTo() == networkingapi.EnvoyFilter_INVALID {
			c.bad(at+".applyTo", "is missing")
		}
		patch := p.GetPatch()
		switch operation := patch.GetOperation(); {
		case operation == networkingapi.EnvoyFilter_Patch_INVALID:
			c.bad(at+".patch.operation", "is missing")
		case slices.Contains(needValue, operation) && len(patch.GetValue().GetFields()) == 0:
			c.bad(at+".patch.value", "is empty: operation %s needs one", operation)
		case p.GetApplyTo() == networkingapi.EnvoyFilter_HTTP_FILTER && operation != networkingapi.EnvoyFilter_Patch_REMOVE:
			c.filterType(at+".patch.value", patch)
		}
	}
}

// filterType checks that an HTTP filter which is put in says what it is.
func (c *checker) filterType(at string, patch *networkingapi.EnvoyFilter_Patch) {
	if patch.GetOperation() == networkingapi.EnvoyFilter_Patch_MERGE {
		return
	}
	fields := patch.GetValue().GetFields()
	if fields["name"].GetStringValue() == "" {
		c.bad(at+".name", "is missing")
	}
	if config := fields["typed_config"].GetStructValue(); config != nil && config.GetFields()["@type"].GetStringValue() == "" {
		c.bad(at+".typed_config.@type", "is missing: Envoy cannot tell which filter it is")
	}
}

func (c *checker) telemetry(t *telemetry.Telemetry) {
	c.labelled("spec.selector.matchLabels", t.Spec.GetSelector().GetMatchLabels())
	for i, tracing := range t.Spec.GetTracing() {
		at := fmt.Sprintf("spec.tracing[%d]", i)
		if p := tracing.GetRandomSamplingPercentage(); p != nil {
			c.percent(at+".randomSamplingPercentage", p.GetValue())
		}
		if n := len(tracing.GetProviders()); n > 1 {
			c.bad(at+".providers", "has %d, want one: spans go to one place", n)
		}
		for j, p := range tracing.GetProviders() {
			c.provider(fmt.Sprintf("%s.providers[%d].name", at, j), p.GetName())
		}
	}
	for i, metrics := range t.Spec.GetMetrics() {
		for j, p := range metrics.GetProviders() {
			c.provider(fmt.Sprintf("spec.metrics[%d].providers[%d].name", i, j), p.GetName())
		}
	}
	for i, logs := range t.Spec.GetAccessLogging() {
		for j, p := range logs.GetProviders() {
			c.provider(fmt.Sprintf("spec.accessLogging[%d].providers[%d].name", i, j), p.GetName())
		}
	}
	for _, other := range c.world.Telemetries {
		if other != t && other.Namespace == t.Namespace && other.Name != t.Name &&
			maps.Equal(other.Spec.GetSelector().GetMatchLabels(), t.Spec.GetSelector().GetMatchLabels()) {
			c.bad("spec.selector", "Telemetry %s/%s selects the same proxies, and Istio heeds one of them only: put both into one",
				other.Namespace, other.Name)
		}
	}
}

// provider checks the name of an extension provider.
func (c *checker) provider(at, name string) {
	switch {
	case name == "":
		c.bad(at, "is missing")
	case c.world.closed && !slices.Contains(c.world.providers, name):
		c.bad(at, "the mesh configuration has no extension provider %q, it has %s", name, list(c.world.providers))
	}
}
