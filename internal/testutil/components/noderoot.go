package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/opnfv/clover/internal/command"
	"github.com/opnfv/clover/internal/debian"
)

// nodeRelease is the release of Debian that nodes run: a newer one has a
// systemd that refuses cgroup v1.
const nodeRelease = "bookworm"

// nodePackages is what a node and its container engine need of Debian.
var nodePackages = []string{
	"systemd", "systemd-sysv", "dbus", "conntrack", "iptables", "nftables", "iproute2", "ethtool",
	"kmod", "pigz", "procps", "ca-certificates", "curl", "jq", "hostname", "socat", "mount", "util-linux",
	"containerd", "runc", "containernetworking-plugins", "docker.io", "busybox-static",
}

// NodeRoot is a root file system of Debian with everything that a Kubernetes
// node and the Docker daemon around it need of Debian. It is made by
// debootstrap, and nothing in it is installed into the system. The path is
// that of the Docker daemon in it.
func NodeRoot() Component {
	return Component{
		Name: "node-root", Title: "Debian for the test cluster", Version: nodeRelease,
		verb: "fetching", cost: "about 2 min", binary: "root/usr/sbin/dockerd",
		key:     func() (string, error) { return textKey(strings.Join(nodePackages, " ")), nil },
		install: installNodeRoot,
	}
}

func installNodeRoot(ctx context.Context, dir string, log io.Writer) error {
	return debianRoot(ctx, filepath.Join(dir, "root"), nodeRelease, nodePackages, log)
}

// debianRoot makes a root file system of a release of Debian with these
// packages and what they depend on.
func debianRoot(ctx context.Context, root, release string, packages []string, log io.Writer) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return fmt.Errorf("a Debian root file system is only made by root on Linux: %w", errors.ErrUnsupported)
	}
	tool, err := debootstrap(ctx, log)
	if err != nil {
		return err
	}
	tool.Args = append(tool.Args, "--variant=minbase", "--include="+strings.Join(packages, ","), release, root)
	ownMounts(tool)
	if err := command.Run(tool); err != nil {
		// What went wrong in the new system is in a log of its own.
		if text, logErr := os.ReadFile(filepath.Join(root, "debootstrap", "debootstrap.log")); logErr == nil {
			return fmt.Errorf("%w: %s", err, text[max(0, len(text)-2000):])
		}
		return err
	}
	for _, rest := range []string{"var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"} {
		if err := os.RemoveAll(filepath.Join(root, rest)); err != nil {
			return err
		}
	}
	return nil
}

// debootstrap returns the command that makes a Debian root file system. Where
// it is missing, or wget, by which it fetches, apt installs them.
func debootstrap(ctx context.Context, log io.Writer) (*exec.Cmd, error) {
	for _, tool := range []string{"debootstrap", "wget"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if debian.Release() == "" {
			return nil, fmt.Errorf("install %s: it is not on PATH and there is no apt to fetch it", tool)
		}
		if err := debian.Install(ctx, tool, progress(log)); err != nil {
			return nil, err
		}
	}
	return exec.CommandContext(ctx, "debootstrap"), nil
}

// textKey is short and differs for different texts.
func textKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:10]
}
