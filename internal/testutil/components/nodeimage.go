package components

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/command"
)

// nodeFiles are Clover's own files of the node image; all others come from
// kind's module, from Debian and from Kubernetes' sources.
//
//go:embed nodeimage
var nodeFiles embed.FS

// storageImage is the image of the provisioner of volumes, as
// nodeimage/default-storage.yaml names it.
const storageImage = "clover.test/local-path-provisioner:latest"

// imagesFile is beside the node image's file system.
const imagesFile = "images.tar"

// NodeImages returns the archive with the images of the cluster's own
// components, which a node of [NodeImage] wants to have as /kind/images.tar.
func NodeImages(nodeImage string) string { return filepath.Join(filepath.Dir(nodeImage), imagesFile) }

// NodeImage is the file system of a node of the test cluster in the shape
// that kind expects, as one tar file for "docker import". It is for machines
// that cannot pull the image that kind publishes.
func NodeImage() Component {
	return Component{
		Name: "node-image", Title: "node image of Kubernetes", Version: kubernetesVersion,
		verb: "making", cost: "about 1 min", binary: "node.tar",
		key:     nodeImageKey,
		install: installNodeImage,
	}
}

// nodeImageKey changes with everything that the image is made of.
func nodeImageKey() (string, error) {
	parts := []string{kindVersion}
	for _, c := range []Component{Kubernetes(), NodeRoot()} {
		folder, err := c.folder()
		if err != nil {
			return "", err
		}
		parts = append(parts, filepath.Base(folder))
	}
	err := fs.WalkDir(nodeFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := nodeFiles.ReadFile(path)
		parts = append(parts, path, string(data))
		return err
	})
	return textKey(strings.Join(parts, "\n")), err
}

// node is a node image in the making.
type node struct {
	programs string // folder with Kubernetes' programs
	root     string // Debian's root file system
	kind     string // folder of kind's module
	tree     string // the image's file system
}

func installNodeImage(ctx context.Context, dir string, log io.Writer) error {
	kubelet, err := Kubernetes().Ensure(ctx, log)
	if err != nil {
		return err
	}
	dockerd, err := NodeRoot().Ensure(ctx, log)
	if err != nil {
		return err
	}
	kind, err := moduleFolder(ctx, "cluster/kindbin", "sigs.k8s.io/kind")
	if err != nil {
		return err
	}
	n := node{
		programs: filepath.Dir(kubelet),
		root:     strings.TrimSuffix(dockerd, "/usr/sbin/dockerd"),
		kind:     kind,
		tree:     filepath.Join(dir, "tree"),
	}
	for _, step := range []func(context.Context) error{n.addDebian, n.addBase, n.addPrograms, n.addRuntime} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := command.Run(exec.CommandContext(ctx, "tar", "--numeric-owner", "-cf", filepath.Join(dir, "node.tar"), "-C", n.tree, ".")); err != nil {
		return err
	}
	if err := n.writeImages(ctx, filepath.Join(dir, imagesFile)); err != nil {
		return err
	}
	return os.RemoveAll(n.tree)
}

// leftOut are the files of Debian that a node does not have: what kind's
// image removes, and Docker, which runs around the node.
var leftOut = []string{
	"dev/*", "proc/*", "sys/*", "run/*", "tmp/*",
	"usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
	"usr/lib/systemd/system/multi-user.target.wants/*",
	"usr/lib/systemd/system/local-fs.target.wants/*",
	"usr/lib/systemd/system/sockets.target.wants/*udev*",
	"usr/lib/systemd/system/sockets.target.wants/*initctl*",
	"usr/lib/systemd/system/basic.target.wants/*",
	"etc/systemd/system/*.wants",
	"etc/machine-id", "etc/resolv.conf", "etc/hostname",
	"usr/sbin/dockerd", "usr/bin/docker*", "usr/libexec/docker", "var/lib/docker",
}

// addDebian takes Debian's files, without copying their contents.
func (n node) addDebian(ctx context.Context) error {
	if err := command.Run(exec.CommandContext(ctx, "cp", "-al", n.root, n.tree)); err != nil {
		return err
	}
	for _, pattern := range leftOut {
		files, err := filepath.Glob(filepath.Join(n.tree, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.RemoveAll(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// addBase takes the files of kind's base image and Clover's own.
func (n node) addBase(context.Context) error {
	base := filepath.Join(n.kind, "images", "base", "files")
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if filepath.Base(filepath.Dir(path)) == "bin" {
			mode = 0o755
		}
		return n.write(name, data, mode)
	})
	if err != nil {
		return err
	}
	for from, to := range map[string]string{
		"10-bridge.conflist":    "etc/cni/net.d/10-bridge.conflist",
		"import-images.service": "etc/systemd/system/import-images.service",
		"default-storage.yaml":  "kind/manifests/default-storage.yaml",
		"kubelet-images.conf":   "etc/systemd/system/kubelet.service.d/12-images.conf",
	} {
		data, err := nodeFiles.ReadFile("nodeimage/" + from)
		if err != nil {
			return err
		}
		if err := n.write(to, data, 0o644); err != nil {
			return err
		}
	}
	for _, unit := range []string{"kubelet", "containerd", "undo-mount-hacks", "import-images"} {
		if err := n.link("../"+unit+".service", "etc/systemd/system/multi-user.target.wants/"+unit+".service"); err != nil {
			return err
		}
	}
	return n.link("/dev/null", "etc/systemd/system/systemd-binfmt.service")
}

// addPrograms takes what runs on the node itself. Where kind's files look
// for a program that Debian has elsewhere, there is a link.
func (n node) addPrograms(context.Context) error {
	if err := n.copy(filepath.Join(n.programs, kubernetesFile), "usr/bin/"+kubernetesFile); err != nil {
		return err
	}
	for _, name := range []string{"kubeadm", "kubelet", "kubectl"} {
		if err := n.link(kubernetesFile, "usr/bin/"+name); err != nil {
			return err
		}
	}
	plugins, err := filepath.Glob(filepath.Join(n.root, "usr/lib/cni/*"))
	if err != nil {
		return err
	}
	for _, plugin := range plugins {
		if err := n.link("/usr/lib/cni/"+filepath.Base(plugin), "opt/cni/bin/"+filepath.Base(plugin)); err != nil {
			return err
		}
	}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		if err := n.link("/usr/bin/"+name, "usr/local/bin/"+name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(n.tree, "etc/kubernetes/manifests"), 0o755); err != nil {
		return err
	}
	return n.write("kind/version", []byte("v"+kubernetesVersion), 0o644)
}

// addRuntime adapts the configuration of containers to machines with cgroup
// v1 and without CAP_SYS_RESOURCE; it is right on others too.
func (n node) addRuntime(ctx context.Context) error {
	images, err := n.imageNames(ctx)
	if err != nil {
		return err
	}
	pause := images["pause"]
	repository, _, _ := strings.Cut(pause, ":")
	for file, edit := range map[string]func(line string) (string, bool){
		"etc/systemd/system/containerd.service": func(line string) (string, bool) {
			return line, !strings.HasPrefix(line, "OOMScoreAdjust")
		},
		"etc/containerd/config.toml": func(line string) (string, bool) {
			line = strings.Replace(line, "restrict_oom_score_adj = false", "restrict_oom_score_adj = true", 1)
			line = strings.Replace(line, "SystemdCgroup = true", "SystemdCgroup = false", 1)
			if indent, _, ok := strings.Cut(line, `sandbox_image = "`+repository); ok {
				line = indent + `sandbox_image = "` + pause + `"`
			}
			return line, true
		},
	} {
		if err := n.edit(file, edit); err != nil {
			return err
		}
	}
	var spec bytes.Buffer
	ctr := exec.CommandContext(ctx, "chroot", n.root, "sh", "-ec", `ctr oci spec | jq '
		.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)'`)
	ctr.Stdout = &spec
	if err := ctr.Run(); err != nil {
		return fmt.Errorf("describe containers: %w", err)
	}
	return n.write("etc/containerd/cri-base.json", spec.Bytes(), 0o644)
}
