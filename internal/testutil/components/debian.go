package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
)

// codename finds the release's name in /etc/os-release.
var codename = regexp.MustCompile(`(?m)^VERSION_CODENAME="?([a-z]+)"?$`)

// debianRelease names the release of Debian, or of a system made from it, or
// is empty where apt cannot be used.
func debianRelease() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return ""
		}
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

// unpackDebian downloads a package of the system's release and unpacks it
// into dir. apt checks the signature. If the system has no package lists,
// they are fetched into a folder of our own, so that neither root nor a
// change of the system is needed.
func unpackDebian(ctx context.Context, dir, pkg string, log io.Writer) error {
	work, err := os.MkdirTemp("", "clover-apt-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if direct := aptGet(ctx, work, "download", pkg); direct != nil {
		say(log, "fetching Debian's package lists ...")
		own, err := ownLists(work)
		if err != nil {
			return err
		}
		if err := aptGet(ctx, work, append(own, "update")...); err != nil {
			return errors.Join(direct, err)
		}
		if err := aptGet(ctx, work, append(own, "download", pkg)...); err != nil {
			return errors.Join(direct, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(work, pkg+"_*.deb"))
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("apt-get download %s left %q, want one package", pkg, files)
	}
	return run(exec.CommandContext(ctx, "dpkg-deb", "-x", files[0], dir))
}

// ownLists makes folders for apt's state below work and returns the options
// that make apt use them.
func ownLists(work string) ([]string, error) {
	var opts []string
	for key, sub := range map[string]string{
		"Dir::State::lists": "lists/partial",
		"Dir::Cache":        "cache/archives/partial",
	} {
		path := filepath.Join(work, filepath.FromSlash(sub))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		root := filepath.Dir(path)
		if key == "Dir::Cache" {
			root = filepath.Dir(root)
		}
		opts = append(opts, "-o", key+"="+root)
	}
	return opts, nil
}

// aptGet runs apt-get in the folder work, as the user we are.
func aptGet(ctx context.Context, work string, args ...string) error {
	opts := []string{"-q", "-o", "Acquire::Retries=2"}
	if os.Geteuid() == 0 {
		opts = append(opts, "-o", "APT::Sandbox::User=root")
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(opts, args...)...)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return run(cmd)
}

// aptInstall installs a package into the system, which needs root.
func aptInstall(ctx context.Context, pkg string, log io.Writer) error {
	say(log, "installing Debian's %s ...", pkg)
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", pkg}} {
		if err := aptGet(ctx, "", args...); err != nil {
			return err
		}
	}
	return nil
}
