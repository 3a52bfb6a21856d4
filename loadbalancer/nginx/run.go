package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

const (
	// startLimit bounds the start of nginx.
	startLimit = 20 * time.Second
	// quitLimit is how long requests may take to end when nginx is to end.
	quitLimit = 10 * time.Second
)

// Run runs nginx until ctx ends, with nothing to serve until the first Apply.
// If an nginx of this folder runs already, with [Options.LeaveRunning] from an
// earlier Run or because that was killed, it is taken over with what it
// serves. When ctx ends, nginx is asked to end and requests under way have
// 10 s. If nginx ends by itself, Run returns why. Run may be called once.
func (dr *Driver) Run(ctx context.Context) error {
	err := errors.New("nginx: Run is called twice")
	dr.runOnce.Do(func() {
		defer close(dr.gone)
		err = dr.run(ctx)
	})
	return err
}

func (dr *Driver) run(ctx context.Context) error {
	if err := dr.undrain(); err != nil {
		return err
	}
	m, err := dr.takeOver(ctx)
	if err != nil {
		return err
	}
	if m == nil {
		if m, err = dr.start(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // it was to end while it began
			}
			return err
		}
	}
	dr.master = m
	defer close(m.unwatch)
	defer dr.serveUploads(ctx)()
	close(dr.ready)
	select {
	case <-m.done:
		err := fmt.Errorf("nginx: ended by itself: %w: %s", m.err, dr.lastWords())
		return errors.Join(err, dr.endOrphans(context.WithoutCancel(ctx)))
	case <-ctx.Done():
	}
	if dr.options.LeaveRunning {
		return nil
	}
	return m.stop()
}

// lastWords are the last emergencies in the log.
func (dr *Driver) lastWords() string {
	size, err := dr.logSize()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(dr.emergencies(max(0, size-maxWordsBytes)))
}

// takeOver finds a master that runs from this folder, or returns nil.
func (dr *Driver) takeOver(ctx context.Context) (*master, error) {
	text, err := os.ReadFile(dr.file(pidFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pid int
	if n, _ := fmt.Sscan(string(text), &pid); n == 0 {
		return nil, nil // not written yet, or not by nginx
	}
	m, err := adopt(pid)
	if err != nil {
		return nil, err
	}
	a, err := dr.findWorker(ctx)
	if errors.Is(err, errNoWorker) {
		close(m.unwatch) // some other process has that number now, if any
		return nil, nil
	}
	if err != nil {
		close(m.unwatch)
		return nil, err
	}
	select {
	case <-m.done:
		return nil, dr.endOrphans(ctx)
	default:
	}
	dr.generation = a.generation
	dr.options.Logger.InfoContext(ctx, "nginx taken over", "pid", pid, "generation", a.generation)
	// Its listeners are not known, so the first change drains them.
	dr.listeners = []loadbalancer.Listener{{}}
	return m, dr.relink(a.generation)
}

// errNoWorker says that no worker answers in this folder.
var errNoWorker = errors.New("no worker answers")

// findWorker asks at every door, the newest first.
func (dr *Driver) findWorker(ctx context.Context) (answer, error) {
	doors, err := filepath.Glob(dr.file("run/*.sock"))
	if err != nil {
		return answer{}, err
	}
	best := answer{}
	for _, door := range doors {
		if a, err := dr.ask(ctx, "run/"+filepath.Base(door)); err == nil && a.generation > best.generation {
			best = a
		}
	}
	if best.generation == 0 {
		return best, errNoWorker
	}
	return best, nil
}

// endOrphans ends workers whose master was killed: they would go on and keep
// the addresses.
func (dr *Driver) endOrphans(ctx context.Context) error {
	for end := time.Now().Add(quitLimit); time.Now().Before(end); {
		a, err := dr.findWorker(ctx)
		if errors.Is(err, errNoWorker) {
			return nil
		}
		if err != nil {
			return err
		}
		process, err := os.FindProcess(a.process)
		if err != nil {
			return err
		}
		if err := process.Signal(quitSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("nginx: end worker %d without a master: %w", a.process, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("nginx: workers without a master do not end in %s", dr.options.Dir)
}

// relink gives the door of a generation its second name.
func (dr *Driver) relink(generation int) error {
	if err := removeFile(dr.file(oldDoorFile(generation))); err != nil {
		return err
	}
	return os.Link(dr.file(doorFile(generation)), dr.file(oldDoorFile(generation)))
}

// start starts nginx with a configuration that serves nothing.
func (dr *Driver) start(ctx context.Context) (*master, error) {
	for _, pattern := range []string{"*.sock", "*.old"} {
		left, err := filepath.Glob(dr.file("run/" + pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range left {
			if err := removeFile(file); err != nil {
				return nil, err
			}
		}
	}
	dr.generation = 1
	text, err := dr.encode(loadbalancer.Config{}, dr.generation)
	if err != nil {
		return nil, err
	}
	if err := writeFile(dr.file(confFile), text); err != nil {
		return nil, err
	}
	// A file and no pipe, so that nginx can live longer than this process.
	said, err := os.Create(dr.file(startFile))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := dr.command(context.WithoutCancel(ctx), "-c", dr.file(confFile))
	cmd.Stderr = said
	m, err := launch(cmd)
	if err != nil {
		return nil, fmt.Errorf("nginx: start: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dr.master = m
	if err := dr.waitNew(limited, dr.generation, -1); err != nil {
		words, readErr := os.ReadFile(dr.file(startFile))
		return nil, errors.Join(err, m.stop(), readErr, errors.New(string(bytes.TrimSpace(words))))
	}
	dr.current, err = dr.encode(loadbalancer.Config{}, 0)
	if err != nil {
		return nil, errors.Join(err, m.stop())
	}
	return m, dr.relink(dr.generation)
}

// master is nginx's first process.
type master struct {
	process *os.Process
	done    chan struct{} // closed when it has ended
	err     error         // how; read after done
	unwatch chan struct{} // closed when nobody asks any more
}

// launch starts a master.
func launch(cmd *exec.Cmd) (*master, error) {
	own(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m := &master{process: cmd.Process, done: make(chan struct{}), unwatch: make(chan struct{})}
	go func() {
		defer close(m.done)
		if m.err = cmd.Wait(); m.err == nil {
			m.err = errors.New("without an error")
		}
	}()
	return m, nil
}

func (m *master) signal(s os.Signal) error {
	if err := m.process.Signal(s); err != nil {
		return fmt.Errorf("signal %s to nginx: %w", s, err)
	}
	return nil
}

// stop lets requests end, then ends the process.
func (m *master) stop() error {
	for _, step := range []struct {
		signal os.Signal
		wait   time.Duration
	}{{quitSignal, quitLimit}, {endSignal, quitLimit}, {os.Kill, quitLimit}} {
		if err := m.process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-m.done:
			return nil
		case <-time.After(step.wait):
		}
	}
	return errors.New("nginx: does not end")
}
