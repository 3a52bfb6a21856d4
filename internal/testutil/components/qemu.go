package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Qemu is the emulator of PCs: Debian's packages, unpacked into the cache
// without being installed, or, on systems without apt, the
// qemu-system-x86_64 on the path.
func Qemu() Component { return qemu("qemu", "qemu-system-x86", "qemu-system-x86_64") }

// QemuARM is the same for machines with a 64-bit ARM processor.
func QemuARM() Component { return qemu("qemu-arm", "qemu-system-arm", "qemu-system-aarch64") }

func qemu(name, pkg, program string) Component {
	c := Component{
		Name: name, Title: "QEMU (" + program + ")", Version: debianRelease(), verb: "fetching", cost: "17 MB", binary: "run-qemu",
		install: func(ctx context.Context, dir string, log io.Writer) error {
			return installQemu(ctx, dir, pkg, program, log)
		},
	}
	if c.Version == "" {
		c.Version, c.verb, c.cost = "system", "looking for", "nothing to fetch"
		c.install = func(_ context.Context, dir string, _ io.Writer) error { return linkQemu(dir, program) }
	}
	return c
}

func installQemu(ctx context.Context, dir, pkg, program string, log io.Writer) error {
	if err := unpackWithLibraries(ctx, dir, pkg, log); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "usr", "bin", program)); err != nil {
		return linkQemu(dir, program) // it was installed already
	}
	libraries, err := onlyOne(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return err
	}
	return writeQemuScript(dir, fmt.Sprintf(`here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/usr/lib/%[1]s:$here/lib/%[1]s" exec "$here/usr/bin/%[2]s" \
	-L "$here/usr/share/qemu" -L "$here/usr/share/seabios" "$@"`, filepath.Base(libraries), program))
}

func linkQemu(dir, program string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("there is no apt to fetch it with; install QEMU so that %s is on the path: %w", program, err)
	}
	return writeQemuScript(dir, "exec "+shellQuote(path)+` "$@"`)
}

// writeQemuScript makes the program of the component.
func writeQemuScript(dir, body string) error {
	return os.WriteFile(filepath.Join(dir, "run-qemu"), []byte("#!/bin/sh\n"+body+"\n"), 0o600)
}

// unpackWithLibraries unpacks a package into dir with everything that it
// depends on and that this system has not got.
func unpackWithLibraries(ctx context.Context, dir, pkg string, log io.Writer) error {
	work, err := os.MkdirTemp("", "clover-apt-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	archives := filepath.Join(work, "archives")
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
		return err
	}
	fetch := []string{
		"-y", "--no-install-recommends", "--download-only",
		"-o", "Debug::NoLocking=1", "-o", "Dir::Cache::archives=" + archives, "install", pkg,
	}
	if direct := aptGet(ctx, work, fetch...); direct != nil {
		say(log, "fetching Debian's package lists ...")
		own, err := ownLists(work)
		if err != nil {
			return err
		}
		if err := aptGet(ctx, work, append(own, "update")...); err != nil {
			return errors.Join(direct, err)
		}
		if err := aptGet(ctx, work, append(own, fetch...)...); err != nil {
			return errors.Join(direct, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := run(exec.CommandContext(ctx, "dpkg-deb", "-x", file, dir)); err != nil {
			return err
		}
	}
	return nil
}
