package testutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// stopLimit is how long a program may take to end by itself: a server in Java
// on a busy machine writes all that it has first.
const stopLimit = 4 * time.Minute

// Command says how to run a program.
type Command struct {
	// Name names the program in messages; empty is the file's name.
	Name string
	// Path is the program's file.
	Path string
	Args []string
	// Env is added to the test's own environment.
	Env []string
	// Dir is the working directory; empty is a folder that ends with the test.
	Dir string
}

// Process is a program that runs for a test. Its methods may be called from
// any goroutine, but those that take no error back end the test and so
// belong to the test's own.
type Process struct {
	t    testing.TB
	name string
	log  string // file with everything that it printed
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read after done
}

// Start runs a program in a process group of its own. At the end of the test
// the group is ended; if the test has failed, the end of what the program
// printed is shown. On Linux the program also ends when the test process is
// killed.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	dir := t.TempDir()
	if c.Name == "" {
		c.Name = filepath.Base(c.Path)
	}
	if c.Dir == "" {
		c.Dir = dir
	}
	p := &Process{
		t: t, name: c.Name, log: filepath.Join(dir, c.Name+".log"),
		cmd: exec.CommandContext(context.WithoutCancel(t.Context()), c.Path, c.Args...), done: make(chan struct{}),
	}
	p.cmd.Dir = c.Dir
	p.cmd.Env = append(os.Environ(), c.Env...)
	ownGroup(p.cmd)
	if err := p.start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("stop %s: %v", p.name, err)
		}
		if t.Failed() {
			t.Logf("%s printed at last:\n%s", p.name, p.Tail(40))
		}
	})
	return p
}

// start starts the program and the goroutine that waits for it. That
// goroutine keeps its thread, because Linux ends the program when the thread
// that started it ends.
func (p *Process) start() error {
	out, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	return <-started
}

// PID is that of the program.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the program to end, waits for it and kills it if it does not end
// within four minutes, which fails the test. It may be called again.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.stop(); err != nil {
		p.t.Fatalf("stop %s: %v", p.name, err)
	}
}

func (p *Process) stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := signalGroup(p.cmd.Process, false); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
	}
	if err := p.kill(); err != nil {
		return err
	}
	return fmt.Errorf("had to be killed after %s", stopLimit)
}

// Kill ends the program at once, without a chance to save anything.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.kill(); err != nil {
		p.t.Fatalf("kill %s: %v", p.name, err)
	}
}

func (p *Process) kill() error {
	if err := signalGroup(p.cmd.Process, true); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// WaitReady calls ready until it returns nil. The test ends if that takes
// longer than limit and than two minutes, as with [Eventually], or if the
// program ends meanwhile.
func (p *Process) WaitReady(limit time.Duration, ready func(ctx context.Context) error) {
	p.t.Helper()
	limit = max(limit, patience)
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		err := ready(ctx)
		if err == nil {
			return
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s ended while starting: %v\n%s", p.name, p.err, p.Tail(40))
		case <-ctx.Done():
			p.t.Fatalf("%s is not ready after %s: %v\n%s", p.name, limit, err, p.Tail(40))
		case <-time.After(wait):
		}
	}
}

// Log returns everything that the program has printed.
func (p *Process) Log() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return "no log: " + err.Error()
	}
	return string(data)
}

// Tail returns the last lines that the program has printed.
func (p *Process) Tail(lines int) string {
	all := strings.Split(strings.TrimRight(p.Log(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
