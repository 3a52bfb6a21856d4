package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

const (
	istioVersion = "1.31"
	istioModule  = "istio.io/istio"
)

// The files of Istio, beside each other in one folder. The bootstrap is the
// template from which pilot-agent writes Envoy's configuration.
const (
	istioctl       = "istioctl"
	pilotAgent     = "pilot-agent"
	pilotDiscovery = "pilot-discovery"
	envoyBootstrap = "envoy_bootstrap.json"
)

// Istio is the service mesh: the program istioctl, which has the charts in
// it, and beside it what the mesh's images are made of.
func Istio() Component {
	return Component{
		Name: "istio", Title: "Istio", Version: istioVersion,
		verb: "building", cost: "about 12 min", binary: istioctl,
		key:     func() (string, error) { return modulesKey("istiobin") },
		install: installIstio,
	}
}

func installIstio(ctx context.Context, dir string, log io.Writer) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("its images are made on Linux only, not on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	for _, b := range []build{
		{pkg: "/istioctl/cmd/", out: istioctl},
		{pkg: "/pilot/cmd/", out: pilotAgent},
		{pkg: "/pilot/cmd/", out: pilotDiscovery},
	} {
		say(log, "building %s ...", b.out)
		b.module, b.pkg, b.out = "istiobin", istioModule+b.pkg+b.out, filepath.Join(dir, b.out)
		if err := goBuild(ctx, b); err != nil {
			return err
		}
	}
	source, err := moduleFolder(ctx, "istiobin", istioModule)
	if err != nil {
		return err
	}
	bootstrap, err := os.ReadFile(filepath.Join(source, "tools", "packaging", "common", envoyBootstrap))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, envoyBootstrap), bootstrap, 0o644)
}
