package components

import (
	"context"
	"io"
	"path/filepath"
	"runtime"

	"github.com/opnfv/clover/internal/debian"
)

// prometheusModule is the version that is built from the Go module.
const prometheusModule = "3.16.0"

// Prometheus is the Prometheus server: Debian's package, unpacked into the
// cache without being installed, or, on systems without apt, a build of the
// Go module.
func Prometheus() Component {
	if release := debian.Release(); release != "" {
		return Component{
			Name: "prometheus", Title: "Prometheus", Version: release,
			verb: "fetching", cost: "20 MB", binary: "usr/bin/prometheus",
			install: installPrometheus,
		}
	}
	c := PrometheusKubernetes()
	c.Name, c.Title = "prometheus", "Prometheus"
	return c
}

func installPrometheus(ctx context.Context, dir string, log io.Writer) error {
	return debian.Fetch(ctx, dir, "prometheus", progress(log))
}

// PrometheusKubernetes is the Prometheus server that finds its targets in a
// Kubernetes cluster, which Debian's cannot. Of all the ways of discovery it
// has this one only: the others would triple the time that it takes to build.
func PrometheusKubernetes() Component {
	binary := "prometheus"
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	return Component{
		Name: "prometheus-kubernetes", Title: "Prometheus with discovery by Kubernetes", Version: prometheusModule,
		verb: "building", cost: "about 4 min", binary: binary,
		key: func() (string, error) { return modulesKey("prometheusbin") },
		install: func(ctx context.Context, dir string, _ io.Writer) error {
			return goBuild(ctx, build{
				module: "prometheusbin", pkg: "github.com/prometheus/prometheus/cmd/prometheus",
				tags: "remove_all_sd,enable_kubernetes_sd", out: filepath.Join(dir, binary),
			})
		},
	}
}
