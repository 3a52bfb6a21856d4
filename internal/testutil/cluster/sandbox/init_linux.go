package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The files that the first process of a sandbox gets.
const (
	hostNetFD = 3 // the network namespace of this machine
	tellFD    = 4 // where to write the subnet when the namespaces are set up
	lockFD    = 5 // the lock that says that the sandbox lives
)

// maxSandboxes is how many sandboxes a machine can have at once: each has a
// network of its own below netPrefix.
const (
	maxSandboxes = 250
	netPrefix    = "10.213."
	outerName    = "clover" // with the number, the interface on this machine
	innerName    = "up0"
)

// Init is the first process in the namespaces of a sandbox: it sets them up,
// starts the Docker daemon and waits until the daemon ends or, unless the
// sandbox is to be kept, the process that started the sandbox does. All that
// runs in the namespaces ends with it.
func Init(ctx context.Context, file string) error {
	if os.Getpid() != 1 {
		return errors.New("this command is run by Clover's tests only, in namespaces of its own")
	}
	for fd := hostNetFD; fd <= lockFD; fd++ {
		unix.CloseOnExec(fd)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var s setting
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !s.Keep {
		go func() {
			// Nothing is ever written: this returns when the other end is
			// closed, at the latest by the end of the process that has it.
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	if err := enterRoot(s); err != nil {
		return err
	}
	subnet, err := joinNetwork(ctx)
	if err != nil {
		return err
	}
	daemon, err := startDaemon(s)
	if err != nil {
		return err
	}
	tell := os.NewFile(tellFD, "tell")
	if _, err := fmt.Fprintln(tell, subnet); err != nil {
		return err
	}
	if err := tell.Close(); err != nil {
		return err
	}
	return reap(daemon.Pid)
}

// enterRoot makes the Debian root file system this process's own root. What
// is written to it is kept in memory; the sandbox's folder is at its usual
// place.
func enterRoot(s setting) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	scratch := filepath.Join(s.Dir, "scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount %s: %w", scratch, err)
	}
	root := filepath.Join(scratch, "root")
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(scratch, dir), 0o755); err != nil {
			return err
		}
	}
	overlay := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", s.Root, scratch, scratch)
	mounts := []struct {
		from, to, fstype, data string
		flags                  uintptr
	}{
		{"overlay", "", "overlay", overlay, 0},
		{"proc", "proc", "proc", "", 0},
		{"sysfs", "sys", "sysfs", "", 0},
		{"/sys/fs/cgroup", "sys/fs/cgroup", "", "", unix.MS_BIND | unix.MS_REC},
		{"/dev", "dev", "", "", unix.MS_BIND | unix.MS_REC},
		{s.Dir, s.Dir, "", "", unix.MS_BIND},
	}
	for _, m := range mounts {
		to := filepath.Join(root, m.to)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.from, to, m.fstype, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.from, to, err)
		}
	}
	return pivot(root)
}

// pivot makes root the root of this mount namespace and drops the old one.
func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// With both names the same, the old root ends on top of the new one.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root to %s: %w", root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("drop the old root: %w", err)
	}
	return os.Chdir("/")
}

// joinNetwork connects the sandbox's network namespace with the machine's by
// the first pair of interfaces whose name is free, and returns the subnet
// that the machine has a route to.
func joinNetwork(ctx context.Context) (string, error) {
	hostNet := os.NewFile(hostNetFD, "host network")
	defer hostNet.Close()
	tool := func(args ...string) error { return tool(ctx, hostNet, args...) }
	if err := tool("ip", "link", "set", "lo", "up"); err != nil {
		return "", err
	}
	// Docker leaves the policy for forwarded packets alone if forwarding is
	// on when it starts.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return "", err
	}
	host := fmt.Sprintf("/proc/self/fd/%d", hostNetFD)
	for n := range maxSandboxes {
		outer := fmt.Sprint(outerName, n)
		err := tool("ip", "link", "add", innerName, "type", "veth", "peer", "name", outer, "netns", host)
		if err != nil && strings.Contains(err.Error(), "File exists") {
			continue
		}
		if err != nil {
			return "", err
		}
		base := fmt.Sprint(netPrefix, n)
		for _, args := range [][]string{
			{"ip", "address", "add", base + ".254/30", "dev", innerName},
			{"ip", "link", "set", innerName, "up"},
			{"nsenter", "--net=" + host, "ip", "address", "add", base + ".253/30", "dev", outer},
			{"nsenter", "--net=" + host, "ip", "link", "set", outer, "up"},
			{"nsenter", "--net=" + host, "ip", "route", "add", base + ".0/25", "via", base + ".254"},
		} {
			if err := tool(args...); err != nil {
				return "", err
			}
		}
		return base + ".0/25", nil
	}
	return "", fmt.Errorf("this machine has %d sandboxes already", maxSandboxes)
}

// tool runs a program of the Debian root, with the machine's network
// namespace as file hostNetFD.
func tool(ctx context.Context, hostNet *os.File, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.ExtraFiles = []*os.File{hostNet}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// reap waits for every process that ends here, as the first process of a
// namespace has to, until the daemon ends.
func reap(daemon int) error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case pid == daemon:
			return fmt.Errorf("the Docker daemon has ended: status %d", status)
		}
	}
}
