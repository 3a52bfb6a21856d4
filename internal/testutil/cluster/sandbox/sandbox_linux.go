package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names of files in a sandbox's folder.
const (
	socketFile  = "docker.sock"
	logFile     = "sandbox.log"
	settingFile = "sandbox.json"
)

const (
	// readyLimit is how long the daemon may take until it answers.
	readyLimit = time.Minute
	// endLimit is how long the kernel may take to end the namespaces.
	endLimit = 30 * time.Second
	// poll is how often the daemon and the kernel are asked again.
	poll = 50 * time.Millisecond
	// socketPathLimit is the kernel's limit for a socket's path.
	socketPathLimit = 107
)

// Options say what a sandbox is made of.
type Options struct {
	// Root is the Debian root file system with Docker in it. It is not
	// written to, and any number of sandboxes may use it.
	Root string
	// Dir is the sandbox's folder; its last element names the sandbox.
	Dir string
	// Program is a static program with the commands "sandbox", which calls
	// [Init], and "runc", which calls [Runc].
	Program string
	// Keep lets the sandbox go on when the process that started it has ended.
	Keep bool
	// Lock is an open file that the sandbox keeps open as long as it lives.
	Lock *os.File
}

// Sandbox is a running one.
type Sandbox struct {
	// Subnet is the network for containers that this machine can reach.
	Subnet string
	// PID is the first process of the namespaces.
	PID int

	dir  string
	cmd  *exec.Cmd
	life *os.File // the sandbox ends when this is closed
}

// setting is what the sandbox's first process is told, by a file.
type setting struct {
	Root, Dir, Program string
	Keep               bool
}

// DockerHost is the daemon's address, in the form of DOCKER_HOST.
func DockerHost(dir string) string { return "unix://" + filepath.Join(dir, socketFile) }

// Start makes a sandbox and returns when its daemon answers. On an error
// nothing is left running, but the folder has to be cleaned.
func Start(ctx context.Context, o Options) (*Sandbox, error) {
	if path := filepath.Join(o.Dir, socketFile); len(path) > socketPathLimit {
		return nil, fmt.Errorf("the path %s is too long for a socket: set CLOVER_CACHE to a shorter one", path)
	}
	data, err := json.Marshal(setting{Root: o.Root, Dir: o.Dir, Program: o.Program, Keep: o.Keep})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, settingFile), data, 0o600); err != nil {
		return nil, err
	}
	s := &Sandbox{dir: o.Dir}
	if err := s.launch(o); err != nil {
		return nil, err
	}
	if err := s.awaitDaemon(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start docker: %w\n%s", err, s.tail()), s.Stop())
	}
	return s, nil
}

// launch starts the first process in its namespaces and waits until it has
// set them up.
func (s *Sandbox) launch(o Options) error {
	hostNet, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer hostNet.Close()
	log, err := os.Create(filepath.Join(s.dir, logFile))
	if err != nil {
		return err
	}
	defer log.Close()
	lifeRead, lifeWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	defer lifeRead.Close()
	tellRead, tellWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(err, lifeWrite.Close())
	}
	defer tellRead.Close()
	s.life = lifeWrite
	s.cmd = &exec.Cmd{
		Path: o.Program, Args: []string{o.Program, "sandbox", filepath.Join(s.dir, settingFile)},
		Stdin: lifeRead, Stdout: log, Stderr: log, Dir: "/",
		Env:        []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root"},
		ExtraFiles: []*os.File{hostNet, tellWrite, o.Lock},
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:     true,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		},
	}
	err = s.cmd.Start()
	_ = tellWrite.Close()
	if err != nil {
		return errors.Join(fmt.Errorf("make namespaces: %w", err), lifeWrite.Close())
	}
	s.PID = s.cmd.Process.Pid
	told, err := io.ReadAll(tellRead)
	if err != nil || len(told) == 0 {
		return errors.Join(fmt.Errorf("set up namespaces: %s", s.tail()), err, s.Stop())
	}
	s.Subnet = string(bytes.TrimSpace(told))
	return nil
}

// awaitDaemon returns when the daemon accepts connections.
func (s *Sandbox) awaitDaemon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", filepath.Join(s.dir, socketFile))
		if err == nil {
			return conn.Close()
		}
		if !alive(s.PID) {
			return errors.New("the daemon has ended")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(poll):
		}
	}
}

// Release leaves a sandbox that was started with Keep to itself.
func (s *Sandbox) Release() error {
	return errors.Join(s.life.Close(), s.cmd.Process.Release())
}

// Stop ends everything in the sandbox and waits for it.
func (s *Sandbox) Stop() error {
	err := s.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	var exit *exec.ExitError
	if wait := s.cmd.Wait(); !errors.As(wait, &exit) {
		err = errors.Join(err, wait)
	}
	return errors.Join(err, s.life.Close())
}

// tail returns the end of what the sandbox has printed.
func (s *Sandbox) tail() string {
	data, err := os.ReadFile(filepath.Join(s.dir, logFile))
	if err != nil {
		return err.Error()
	}
	const keep = 3000
	return string(data[max(0, len(data)-keep):])
}
