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
// debootstrap and nothing of it is installed into the system. The path is
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
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return fmt.Errorf("a Debian root file system is only made by root on Linux: %w", errors.ErrUnsupported)
	}
	tool, err := debootstrap(ctx, filepath.Join(dir, "debootstrap"), log)
	if err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	tool.Args = append(tool.Args, "--variant=minbase", "--include="+strings.Join(nodePackages, ","), nodeRelease, root)
	if err := run(tool); err != nil {
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

// debootstrap returns the command that makes a Debian root file system: the
// one on PATH, else Debian's package, unpacked into dir.
func debootstrap(ctx context.Context, dir string, log io.Writer) (*exec.Cmd, error) {
	if path, err := exec.LookPath("debootstrap"); err == nil {
		return exec.CommandContext(ctx, path), nil
	}
	if debianRelease() == "" {
		return nil, errors.New("install debootstrap: it is not on PATH and there is no apt to fetch it")
	}
	if err := unpackDebian(ctx, dir, "debootstrap", log); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(dir, "usr/sbin/debootstrap"))
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBOOTSTRAP_DIR="+filepath.Join(dir, "usr/share/debootstrap"))
	return cmd, nil
}

// textKey is short and differs for different texts.
func textKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:10]
}
