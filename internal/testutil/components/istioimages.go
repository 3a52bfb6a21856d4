package components

import (
	"context"
	"io"
	"path/filepath"
	"strings"
)

// The images of Istio: their names, and the user that they run as.
const (
	IstioHub  = "clover.test/istio"
	IstioTag  = istioVersion
	istioUser = "1337:1337"
)

// The archives of [IstioImages], beside each other in one folder.
const (
	PilotImage = "pilot.tar"
	ProxyImage = "proxyv2.tar"
)

// IstioImages are the two images of the mesh: the control plane, and the
// proxy with upstream's Envoy. The path is that of the control plane's
// archive.
func IstioImages() Component {
	return Component{
		Name: "istio-images", Title: "images of Istio", Version: istioVersion,
		verb: "making", cost: "a few seconds", binary: PilotImage,
		key: func() (string, error) {
			var parts []string
			for _, c := range []Component{Istio(), Envoy(), NodeRoot()} {
				folder, err := c.folder()
				if err != nil {
					return "", err
				}
				parts = append(parts, filepath.Base(folder))
			}
			return textKey(strings.Join(parts, "\n")), nil
		},
		install: installIstioImages,
	}
}

func installIstioImages(ctx context.Context, dir string, log io.Writer) error {
	ctl, err := Istio().Ensure(ctx, log)
	if err != nil {
		return err
	}
	envoy, err := Envoy().Ensure(ctx, log)
	if err != nil {
		return err
	}
	dockerd, err := NodeRoot().Ensure(ctx, log)
	if err != nil {
		return err
	}
	programs := filepath.Dir(ctl)
	pilot := imageConfig{Entrypoint: []string{"/usr/local/bin/" + pilotDiscovery}, User: istioUser}
	err = writeImages(filepath.Join(dir, PilotImage), map[string]imageConfig{IstioHub + "/pilot:" + IstioTag: pilot},
		[]imageFile{{From: filepath.Join(programs, pilotDiscovery), To: "usr/local/bin/" + pilotDiscovery, Mode: 0o755}})
	if err != nil {
		return err
	}
	root := node{root: strings.TrimSuffix(dockerd, "/usr/sbin/dockerd")}
	files, err := root.envoyFiles(ctx, envoy)
	if err != nil {
		return err
	}
	files = append(files,
		imageFile{From: filepath.Join(programs, pilotAgent), To: "usr/local/bin/" + pilotAgent, Mode: 0o755},
		imageFile{From: filepath.Join(programs, envoyBootstrap), To: "var/lib/istio/envoy/envoy_bootstrap_tmpl.json", Mode: 0o644},
	)
	proxy := imageConfig{
		Entrypoint: []string{"/usr/local/bin/" + pilotAgent},
		Env:        imageEnv,
		User:       istioUser,
	}
	return writeImages(filepath.Join(dir, ProxyImage), map[string]imageConfig{IstioHub + "/proxyv2:" + IstioTag: proxy}, files)
}

// envoyFiles are Envoy, what it is linked with, and iptables, by which a pod
// sends its traffic through it.
func (n node) envoyFiles(ctx context.Context, envoy string) ([]imageFile, error) {
	files, err := n.proxyFiles(ctx)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, f := range files {
		have[f.To] = true
	}
	linked, err := n.linkedWith(ctx, envoy)
	if err != nil {
		return nil, err
	}
	for _, f := range linked {
		if !have[f.To] {
			files = append(files, f)
		}
	}
	certificates := "etc/ssl/certs/ca-certificates.crt"
	return append(files,
		imageFile{From: envoy, To: "usr/local/bin/envoy", Mode: 0o755},
		imageFile{From: filepath.Join(n.root, certificates), To: certificates, Mode: 0o644},
	), nil
}
