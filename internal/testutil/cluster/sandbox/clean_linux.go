package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where control groups are mounted: version 2 itself, or a
// folder for each hierarchy of version 1.
const cgroupRoot = "/sys/fs/cgroup"

// cgroupOf is the control group of the sandbox in that folder.
func cgroupOf(dir string) string { return "/clover-" + filepath.Base(dir) }

// Kill ends the sandbox whose first process has that id and waits for the
// end of all that runs in it. The caller must know that the id is still the
// sandbox's, by its lock.
func Kill(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end the sandbox's process %d: %w", pid, err)
	}
	for end := time.Now().Add(endLimit); alive(pid); time.Sleep(poll) {
		if time.Now().After(end) {
			return fmt.Errorf("the sandbox's process %d has not ended after %s", pid, endLimit)
		}
	}
	return nil
}

// alive reports whether the process is there and not waiting to be reaped.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the name, which is in parentheses and may hold some.
	for i := len(data) - 1; i >= 0; i-- {
		if data[i] == ')' {
			return i+2 < len(data) && data[i+2] != 'Z' && data[i+2] != 'X'
		}
	}
	return false
}

// Clean removes what an ended sandbox has left: its control groups and its
// folder.
func Clean(dir string) error {
	var errs []error
	for _, pattern := range []string{cgroupRoot, filepath.Join(cgroupRoot, "*")} {
		groups, err := filepath.Glob(pattern + cgroupOf(dir))
		if err != nil {
			return err
		}
		for _, group := range groups {
			errs = append(errs, removeCgroup(group))
		}
	}
	return errors.Join(append(errs, removeAll(dir))...)
}

// removeAll removes a folder that another process may be removing too: of two
// that list it at a time, one may miss an entry.
func removeAll(dir string) error {
	for end := time.Now().Add(endLimit); ; time.Sleep(poll) {
		err := os.RemoveAll(dir)
		if !errors.Is(err, unix.ENOTEMPTY) || time.Now().After(end) {
			return err
		}
	}
}

// removeCgroup removes a control group and those below it, the innermost
// first. A group whose last process has just ended is busy for a moment.
func removeCgroup(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		for end := time.Now().Add(endLimit); ; time.Sleep(poll) {
			err := unix.Rmdir(dir)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
				return fmt.Errorf("remove control group %s: %w", dir, err)
			}
		}
	}
	return nil
}
