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
	"runtime"
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

// DebianKernels are the kernels for virtual machines of several releases of
// Debian, the oldest first. The program is the kernel's image; the modules
// that Clovisor needs are in the folder "modules" beside it. They are for
// amd64, which QEMU emulates.
func DebianKernels() []Component {
	return []Component{debianKernel("5.10", linux510), debianKernel("6.1", linux61), debianKernel("6.12", linux612)}
}

func debianKernel(version, release string) Component {
	return Component{
		Name: "linux-" + version, Title: "Linux " + version + " of Debian's", Version: release,
		verb: "fetching", cost: "21 to 35 MB", binary: "vmlinuz",
		install: func(ctx context.Context, dir string, log io.Writer) error {
			return installDebianKernel(ctx, dir, release, log)
		},
	}
}

// kernelDepends finds the package of the current kernel.
var kernelDepends = regexp.MustCompile(`(?m)^\s*Depends: (linux-image-\S+-cloud-amd64)$`)

func installDebianKernel(ctx context.Context, dir, release string, log io.Writer) error {
	if debianRelease() == "" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("the packages are fetched by apt on amd64: %w", errors.ErrUnsupported)
	}
	work, err := os.MkdirTemp("", "clover-apt-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	opts, err := updatedRelease(ctx, work, release, log)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "apt-cache", append(opts, "depends", "linux-image-cloud-amd64")...).Output()
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
