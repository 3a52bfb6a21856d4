package components

import (
	"context"
	"io"
	"maps"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/imagetar"
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
		imageFiles{"/usr/local/bin/" + pilotDiscovery: {Source: filepath.Join(programs, pilotDiscovery), Mode: 0o755}})
	if err != nil {
		return err
	}
	root := node{root: strings.TrimSuffix(dockerd, "/usr/sbin/dockerd")}
	files, err := root.envoyFiles(ctx, envoy)
	if err != nil {
		return err
	}
	files["/usr/local/bin/"+pilotAgent] = imagetar.File{Source: filepath.Join(programs, pilotAgent), Mode: 0o755}
	files["/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"] = imagetar.File{Source: filepath.Join(programs, envoyBootstrap), Mode: 0o644}
	proxy := imageConfig{
		Entrypoint: []string{"/usr/local/bin/" + pilotAgent},
		Env:        imageEnv,
		User:       istioUser,
	}
	return writeImages(filepath.Join(dir, ProxyImage), map[string]imageConfig{IstioHub + "/proxyv2:" + IstioTag: proxy}, files)
}

// envoyFiles are Envoy, what it is linked with, and iptables, by which a pod
// sends its traffic through it.
func (n node) envoyFiles(ctx context.Context, envoy string) (imageFiles, error) {
	files, err := n.proxyFiles(ctx)
	if err != nil {
		return nil, err
	}
	linked, err := n.linkedWith(ctx, envoy)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, linked)
	certificates := "/etc/ssl/certs/ca-certificates.crt"
	files["/usr/local/bin/envoy"] = imagetar.File{Source: envoy, Mode: 0o755}
	files[certificates] = imagetar.File{Source: filepath.Join(n.root, certificates), Mode: 0o644}
	return files, nil
}
