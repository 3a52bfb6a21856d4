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
func Qemu() Component {
	c := Component{
		Name: "qemu", Title: "QEMU", Version: debianRelease(), verb: "fetching", cost: "17 MB", binary: "run-qemu",
		install: installQemu,
	}
	if c.Version == "" {
		c.Version, c.verb, c.cost, c.install = "system", "looking for", "nothing to fetch", linkQemu
	}
	return c
}

func installQemu(ctx context.Context, dir string, log io.Writer) error {
	if err := unpackWithLibraries(ctx, dir, "qemu-system-x86", log); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "usr", "bin", "qemu-system-x86_64")); err != nil {
		return linkQemu(ctx, dir, log) // it was installed already
	}
	libraries, err := onlyOne(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return err
	}
	arch := filepath.Base(libraries)
	return writeQemuScript(dir, fmt.Sprintf(`here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/usr/lib/%[1]s:$here/lib/%[1]s" exec "$here/usr/bin/qemu-system-x86_64" \
	-L "$here/usr/share/qemu" -L "$here/usr/share/seabios" "$@"`, arch))
}

func linkQemu(_ context.Context, dir string, _ io.Writer) error {
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return fmt.Errorf("there is no apt to fetch it with; install QEMU so that qemu-system-x86_64 is on the path: %w", err)
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
