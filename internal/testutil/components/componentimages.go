package components

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/imagetar"
)

// busybox is Debian's static busybox, the shell that prepares volumes.
const busybox = "usr/bin/busybox"

// imageEnv lets the images' programs be found by name.
var imageEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// proxyTools are what kube-proxy runs, from Debian.
var proxyTools = []string{
	"usr/sbin/xtables-nft-multi", "usr/sbin/xtables-legacy-multi", "usr/sbin/conntrack", "usr/sbin/nft",
}

// imageNames returns the names that kubeadm has for the images of a cluster,
// by their last part without the version.
func (n node) imageNames(ctx context.Context) (map[string]string, error) {
	kubeadm := filepath.Join(n.programs, "kubeadm")
	out, err := exec.CommandContext(ctx, kubeadm, "config", "images", "list", "--kubernetes-version=v"+kubernetesVersion).Output()
	if err != nil {
		return nil, fmt.Errorf("list the images of kubeadm: %w", err)
	}
	names := make(map[string]string)
	for _, name := range strings.Fields(string(out)) {
		short, _, _ := strings.Cut(path.Base(name), ":")
		names[short] = name
	}
	return names, nil
}

// writeImages writes the images of the cluster's own components. They have
// the same layer with all programs and differ in what they run.
func (n node) writeImages(ctx context.Context, out string) error {
	names, err := n.imageNames(ctx)
	if err != nil {
		return err
	}
	files, err := n.proxyFiles(ctx)
	if err != nil {
		return err
	}
	files["/"+busybox] = imagetar.File{Source: filepath.Join(n.root, busybox), Mode: 0o755}
	for _, name := range []string{"sh", "mkdir", "rm"} {
		files["/usr/bin/"+name] = imagetar.File{Link: "/" + busybox}
	}
	for _, name := range []string{kubernetesFile, "etcd", "coredns", "pause", "local-path-provisioner"} {
		files["/usr/local/bin/"+name] = imagetar.File{Source: filepath.Join(n.programs, name), Mode: 0o755}
	}
	for _, name := range kubernetesPrograms {
		files["/usr/local/bin/"+name] = imagetar.File{Link: kubernetesFile}
	}
	images := map[string]imageConfig{storageImage: {Env: imageEnv}}
	for short, name := range names {
		images[name] = imageConfig{Env: imageEnv}
		if short == "coredns" || short == "pause" {
			// Nobody else says what to run.
			images[name] = imageConfig{Env: imageEnv, Entrypoint: []string{"/usr/local/bin/" + short}}
		}
	}
	return writeImages(out, images, files)
}

// proxyFiles are kube-proxy's tools with the libraries that they load.
func (n node) proxyFiles(ctx context.Context) (imageFiles, error) {
	paths := proxyTools
	plugins, err := filepath.Glob(filepath.Join(n.root, "usr/lib/*/xtables/*.so"))
	if err != nil {
		return nil, err
	}
	for _, plugin := range plugins {
		paths = append(paths, strings.TrimPrefix(plugin, n.root+"/"))
	}
	libs, err := n.libraries(ctx, paths)
	if err != nil {
		return nil, err
	}
	files, err := n.fromRoot(ctx, append(paths, libs...))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, kind := range []string{"", "-save", "-restore"} {
			files["/usr/sbin/"+name+kind] = imagetar.File{Link: "xtables-nft-multi"}
		}
	}
	// Programs look for the loader, libraries and the shell in the old places.
	for _, dir := range []string{"bin", "lib", "lib64"} {
		files["/"+dir] = imagetar.File{Link: "usr/" + dir}
	}
	return files, nil
}

// libraries returns the shared libraries, and the loader, of files in the
// Debian root, by their path in it.
func (n node) libraries(ctx context.Context, paths []string) ([]string, error) {
	args := []string{n.root, "ldd"}
	for _, path := range paths {
		args = append(args, "/"+path)
	}
	out, err := exec.CommandContext(ctx, "chroot", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("list libraries: %w", err)
	}
	seen := make(map[string]bool)
	var libs []string
	for _, word := range strings.Fields(string(out)) {
		if !strings.HasPrefix(word, "/lib") || seen[word] {
			continue
		}
		seen[word] = true
		libs = append(libs, "usr"+word)
	}
	return libs, nil
}

// fromRoot copies files of the Debian root. The root itself resolves their
// links, which may be absolute.
func (n node) fromRoot(ctx context.Context, paths []string) (imageFiles, error) {
	args := []string{n.root, "readlink", "-e"}
	for _, path := range paths {
		args = append(args, "/"+path)
	}
	out, err := exec.CommandContext(ctx, "chroot", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("resolve links: %w", err)
	}
	real := strings.Fields(string(out))
	if len(real) != len(paths) {
		return nil, fmt.Errorf("resolve links: %d paths for %d", len(real), len(paths))
	}
	files := imageFiles{}
	for i, path := range paths {
		files["/"+path] = imagetar.File{Source: filepath.Join(n.root, real[i]), Mode: 0o755}
	}
	return files, nil
}
