package components

import (
	"context"
	"io"
)

// prometheusModule is the version that is built where there is no apt.
const prometheusModule = "3.5.0"

// Prometheus is the Prometheus server: Debian's package, unpacked into the
// cache without being installed, or, on systems without apt, a build of the
// Go module.
func Prometheus() Component {
	if release := debianRelease(); release != "" {
		return Component{
			Name: "prometheus", Title: "Prometheus", Version: release,
			verb: "fetching", cost: "20 MB", binary: "usr/bin/prometheus",
			install: installPrometheus,
		}
	}
	return built("prometheus", "Prometheus", prometheusModule, "prometheusbin",
		"github.com/prometheus/prometheus/cmd/prometheus")
}

func installPrometheus(ctx context.Context, dir string, log io.Writer) error {
	return unpackDebian(ctx, dir, "prometheus", log)
}
