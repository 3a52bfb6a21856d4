package nginx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// The files of the driver's folder.
const (
	confFile  = "nginx.conf"
	nextFile  = "nginx.conf.next"
	pidFile   = "nginx.pid"
	logFile   = "error.log"
	startFile = "start.log"
	runDir    = "run"
	drainFile = "run/drain"
)

// doorFile is the socket of a generation.
func doorFile(generation int) string { return "run/" + strconv.Itoa(generation) + ".sock" }

// oldDoorFile is a second name of that socket: nginx removes the first while
// old workers still accept there.
func oldDoorFile(generation int) string { return "run/" + strconv.Itoa(generation) + ".old" }

// rollbackLimit bounds putting things back.
const rollbackLimit = 20 * time.Second

// replace puts a configuration into effect as the next generation, or leaves
// all as it was.
func (dr *Driver) replace(ctx context.Context, c loadbalancer.Config) error {
	// A number is never used twice: a door that a failed change has left
	// would be in the way.
	dr.attempts++
	next := dr.generation + dr.attempts
	text, err := dr.encode(c, next)
	if err != nil {
		return err
	}
	if err := dr.test(ctx, text); err != nil {
		return err
	}
	old, err := os.ReadFile(dr.file(confFile))
	if err != nil {
		return dr.fail("replace", "", err)
	}
	if err := dr.drain(ctx); err != nil {
		return errors.Join(err, dr.undrain())
	}
	if err := dr.boundLog(); err != nil {
		return errors.Join(dr.fail("reload", "", err), dr.undrain())
	}
	limited, cancel := context.WithTimeout(ctx, dr.options.ApplyTimeout)
	defer cancel()
	err = dr.reload(limited, next)
	if err == nil {
		dr.generation, dr.attempts = next, 0
		dr.settle(ctx)
		return dr.undrain()
	}
	back, cancelBack := context.WithTimeout(context.WithoutCancel(ctx), rollbackLimit)
	defer cancelBack()
	return errors.Join(err, dr.rollback(back, old, next, err), dr.undrain())
}

// test writes the next configuration and has nginx test it.
func (dr *Driver) test(ctx context.Context, text []byte) error {
	next := dr.file(nextFile)
	if err := writeFile(next, text); err != nil {
		return dr.fail("write", "", err)
	}
	out, err := dr.command(ctx, "-t", "-q", "-c", next).CombinedOutput()
	if err != nil {
		return errors.Join(dr.fail("test", string(out), err), os.Remove(next))
	}
	return nil
}

// command runs nginx in the driver's folder. Its messages before it has read
// the configuration go to where the driver sees them.
func (dr *Driver) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, dr.program.path, append([]string{"-p", dr.options.Dir, "-e", "stderr"}, args...)...)
	cmd.Dir = dr.options.Dir
	return cmd
}

// reload puts the tested configuration into place and waits until no worker
// serves another.
func (dr *Driver) reload(ctx context.Context, next int) error {
	if err := os.Rename(dr.file(nextFile), dr.file(confFile)); err != nil {
		return dr.fail("replace", "", err)
	}
	log, err := dr.logSize()
	if err != nil {
		return dr.fail("reload", "", err)
	}
	if err := dr.master.signal(reloadSignal); err != nil {
		return dr.fail("reload", "", err)
	}
	if err := dr.waitNew(ctx, next, log); err != nil {
		return err
	}
	if err := dr.relink(next); err != nil {
		return dr.fail("verify", "", err)
	}
	return dr.waitOldGone(ctx, dr.generation)
}

// waitNew waits until a worker of the new generation answers. What nginx logs
// as an emergency meanwhile is the reason why none will, but for a bind that
// it tries again; after the last try it says something else.
func (dr *Driver) waitNew(ctx context.Context, generation int, log int64) error {
	return dr.poll(ctx, "reload", log, func() (bool, error) {
		a, err := dr.ask(ctx, doorFile(generation))
		if err == nil {
			return a.generation == generation, nil
		}
		if text := dr.emergencies(log); final(text) {
			return false, dr.fail("reload", text, errGivenUp)
		}
		return false, nil
	})
}

// errGivenUp says that nginx itself has refused a reload and goes on with what
// it had.
var errGivenUp = errors.New("nginx keeps the old configuration")

// final reports whether emergencies are the last word on a reload.
func final(text string) bool {
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "bind() to ") {
			return true
		}
	}
	return false
}

// waitOldGone waits until nobody accepts connections for the old generation.
func (dr *Driver) waitOldGone(ctx context.Context, generation int) error {
	door := oldDoorFile(generation)
	err := dr.poll(ctx, "verify", -1, func() (bool, error) { return dr.refused(ctx, door), nil })
	if err != nil {
		return err
	}
	return removeFile(dr.file(door))
}

// poll calls done until it is true, at growing intervals.
func (dr *Driver) poll(ctx context.Context, step string, log int64, done func() (bool, error)) error {
	for wait := 500 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return dr.fail(step, dr.emergencies(log), fmt.Errorf("the workers do not answer as they should: %w", ctx.Err()))
		case <-dr.master.done:
			return dr.fail(step, dr.emergencies(log), ErrNotRunning)
		case <-time.After(wait):
		}
	}
}

// rollback puts the old configuration back. Unless nginx has said that it
// never left that, it is told to load it again, which also undoes a reload
// that is only just under way.
func (dr *Driver) rollback(ctx context.Context, old []byte, failed int, cause error) error {
	if err := writeFile(dr.file(nextFile), old); err != nil {
		return dr.fail("roll back", "", err)
	}
	if err := os.Rename(dr.file(nextFile), dr.file(confFile)); err != nil {
		return dr.fail("roll back", "", err)
	}
	if errors.Is(cause, errGivenUp) {
		return removeFile(dr.file(doorFile(failed)))
	}
	if err := dr.master.signal(reloadSignal); err != nil {
		return dr.fail("roll back", "", err)
	}
	err := dr.poll(ctx, "roll back", -1, func() (bool, error) {
		a, err := dr.ask(ctx, doorFile(dr.generation))
		return err == nil && a.generation == dr.generation && dr.refused(ctx, doorFile(failed)), nil
	})
	if err != nil {
		return err
	}
	return dr.relink(dr.generation)
}

// drain tells clients to go for the time that this version of nginx needs.
func (dr *Driver) drain(ctx context.Context) error {
	if !(plan{program: dr.program}).drains() || len(dr.listeners) == 0 {
		return nil
	}
	if err := writeFile(dr.file(drainFile), nil); err != nil {
		return dr.fail("drain", "", err)
	}
	answer, err := dr.ask(ctx, doorFile(dr.generation))
	if err != nil {
		return dr.fail("drain", "", err)
	}
	if !answer.drains {
		return dr.fail("drain", "", fmt.Errorf("the workers cannot see into %s; let their user read it", dr.options.Dir))
	}
	select {
	case <-time.After(dr.options.DrainTime):
		return nil
	case <-ctx.Done():
		return dr.fail("drain", "", ctx.Err())
	}
}

// settle waits until old workers have ended the connections that were idle in
// a reload, where they keep those open. The change is made by then, so the end
// of ctx is no error.
func (dr *Driver) settle(ctx context.Context) {
	if (plan{program: dr.program}).drains() || len(dr.listeners) == 0 {
		return
	}
	select {
	case <-time.After(dr.options.DrainTime):
	case <-ctx.Done():
	}
}

func (dr *Driver) undrain() error { return removeFile(dr.file(drainFile)) }

func (dr *Driver) file(name string) string { return plan{options: dr.options}.file(name) }

// fail makes the error of a step.
func (dr *Driver) fail(step, output string, err error) error {
	return &loadbalancer.ApplyError{Driver: dr.desc.Name, Step: step, Output: output, Err: err}
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeFile writes a file that workers may read, whatever the umask is.
func writeFile(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}
