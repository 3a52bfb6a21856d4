// Package debian fetches Debian packages by apt, which checks their
// signatures. Except by [Install] the system is not changed, and no root is
// needed.
package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/opnfv/clover/internal/command"
)

// ErrNoApt says that this system cannot fetch Debian packages. It matches
// errors.ErrUnsupported.
var ErrNoApt = fmt.Errorf("needs apt-get and dpkg-deb, as Debian and its descendants have them: %w", errors.ErrUnsupported)

// Progress hears what is done; it may be nil.
type Progress func(format string, args ...any)

func (p Progress) say(format string, args ...any) {
	if p != nil {
		p(format, args...)
	}
}

// available is nil where packages can be fetched.
func available() error {
	if runtime.GOOS != "linux" {
		return ErrNoApt
	}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return ErrNoApt
		}
	}
	return nil
}

// codename finds the release's name in /etc/os-release.
var codename = regexp.MustCompile(`(?m)^VERSION_CODENAME="?([a-z]+)"?$`)

// Release names the release of Debian, or of a system made from it, or is
// empty where apt cannot be used.
func Release() string {
	if available() != nil {
		return ""
	}
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	if m := codename.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}

// apt runs apt-get in a folder, as the user we are.
func apt(ctx context.Context, dir string, args ...string) error {
	opts := []string{"-q", "-o", "Acquire::Retries=2"}
	if os.Geteuid() == 0 {
		opts = append(opts, "-o", "APT::Sandbox::User=root")
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(opts, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return command.Run(cmd)
}

// extract unpacks the file of a package.
func extract(ctx context.Context, deb, dir string) error {
	return command.Run(exec.CommandContext(ctx, "dpkg-deb", "--extract", deb, dir))
}

// download downloads a package into the folder work and unpacks it into dir.
func download(ctx context.Context, work string, opts []string, pkg, dir string) error {
	if err := apt(ctx, work, append(opts, "download", pkg)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(work, pkg+"_*.deb"))
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("apt-get download %s left %q, want one package", pkg, files)
	}
	return extract(ctx, files[0], dir)
}

// Install installs a package into the system, which needs root.
func Install(ctx context.Context, pkg string, p Progress) error {
	p.say("installing Debian's %s ...", pkg)
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", pkg}} {
		if err := apt(ctx, "", args...); err != nil {
			return err
		}
	}
	return nil
}

// workFolder is one that is removed by done.
func workFolder() (dir string, done func(), err error) {
	if err := available(); err != nil {
		return "", nil, err
	}
	dir, err = os.MkdirTemp("", "clover-apt-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
