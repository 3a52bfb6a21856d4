package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The kernels of Debian's releases that Clovisor's programs are tested on,
// beside the one that runs.
const (
	linux510 = "bullseye"
	linux61  = "bookworm"
	linux612 = "trixie"
)

// DebianKernel is a kernel for virtual machines. Its program is the kernel's
// image; the modules that Clovisor needs are in the folder "modules" beside it.
type DebianKernel struct {
	Component
	Arch string // as Go and Debian call it: amd64 or arm64
}

// DebianKernels are kernels of several releases of Debian, the oldest first.
func DebianKernels() []DebianKernel {
	return []DebianKernel{
		debianKernel("5.10", linux510, "amd64"), debianKernel("6.1", linux61, "amd64"),
		debianKernel("6.1", linux61, "arm64"), debianKernel("6.12", linux612, "amd64"),
	}
}

func debianKernel(version, release, arch string) DebianKernel {
	return DebianKernel{Arch: arch, Component: Component{
		Name: "linux-" + version + "-" + arch, Title: "Linux " + version + " for " + arch + " of Debian's", Version: release,
		verb: "fetching", cost: "21 to 35 MB", binary: "vmlinuz",
		install: func(ctx context.Context, dir string, log io.Writer) error {
			return installDebianKernel(ctx, dir, release, arch, log)
		},
	}}
}

// kernelDepends finds the package of the current kernel.
var kernelDepends = regexp.MustCompile(`(?m)^\s*Depends: (linux-image-[^\s:]+-cloud-(?:amd64|arm64))(?::\S+)?$`)

func installDebianKernel(ctx context.Context, dir, release, arch string, log io.Writer) error {
	if debianRelease() == "" {
		return fmt.Errorf("the packages are fetched by apt: %w", errors.ErrUnsupported)
	}
	work, err := os.MkdirTemp("", "clover-apt-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	opts, err := updatedRelease(ctx, work, release, log, "-o", "APT::Architecture="+arch, "-o", "APT::Architectures="+arch)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "apt-cache", append(opts, "depends", "linux-image-cloud-"+arch)...).Output()
	if err != nil {
		return fmt.Errorf("apt-cache depends: %w", err)
	}
	name := kernelDepends.FindSubmatch(out)
	if name == nil {
		return fmt.Errorf("apt-cache depends names no kernel: %q", out)
	}
	if err := aptGet(ctx, work, append(opts, "download", string(name[1]))...); err != nil {
		return err
	}
	file, err := onlyOne(filepath.Join(work, "linux-image-*.deb"))
	if err != nil {
		return err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := run(exec.CommandContext(ctx, "dpkg-deb", "-x", file, unpacked)); err != nil {
		return err
	}
	return pickKernel(unpacked, dir)
}

// kernelModules are what Clovisor needs of a kernel that has them apart.
var kernelModules = []string{"veth", "sch_ingress", "cls_bpf"}

// pickKernel copies the image and the modules.
func pickKernel(unpacked, dir string) error {
	image, err := onlyOne(filepath.Join(unpacked, "boot", "vmlinuz-*"))
	if err != nil {
		return err
	}
	modules := filepath.Join(dir, "modules")
	if err := errors.Join(os.Mkdir(modules, 0o755), copyFile(image, filepath.Join(dir, "vmlinuz"))); err != nil {
		return err
	}
	return filepath.WalkDir(unpacked, func(path string, _ fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && slices.Contains(kernelModules, name) {
			return errors.Join(err, copyFile(path, filepath.Join(modules, filepath.Base(path))))
		}
		return err
	})
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
