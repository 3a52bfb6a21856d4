package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
			return err
		}
	}
	dr.master = m
	defer close(m.unwatch)
	close(dr.ready)
	select {
	case <-m.done:
		return fmt.Errorf("nginx: ended by itself: %w: %s", m.err, dr.lastWords())
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
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, nil // not written yet, or not by nginx
	}
	doors, err := filepath.Glob(dr.file("run/*.sock"))
	if err != nil {
		return nil, err
	}
	for _, door := range doors {
		a, err := dr.ask(ctx, "run/"+filepath.Base(door))
		if err != nil {
			continue
		}
		dr.generation = a.generation
		dr.options.Logger.InfoContext(ctx, "nginx taken over", "pid", pid, "generation", a.generation)
		// Its listeners are not known, so the first change drains them.
		dr.listeners = []loadbalancer.Listener{{}}
		if err := dr.relink(a.generation); err != nil {
			return nil, err
		}
		return adopt(pid)
	}
	return nil, nil
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
