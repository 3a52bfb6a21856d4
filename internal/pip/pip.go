// Package pip fetches pinned files from the Python package index that pip is
// set up for.
package pip

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opnfv/clover/internal/command"
	"github.com/opnfv/clover/internal/debian"
)

// ErrNone says that there is no pip.
var ErrNone = errors.New("there is no pip; install Python's pip (on Debian: apt-get install python3-pip)")

// Form is one of the forms in which the index has a package.
type Form string

// The forms.
const (
	Wheel  Form = "--only-binary=:all:"
	Source Form = "--no-binary=:all:"
)

// Download downloads the one file of a pinned requirement, NAME==VERSION, into
// the folder work and returns it. pip refuses a file whose SHA-256 is not sum.
// Where there is no pip, it is installed if root can do that with apt; say, if
// not nil, is told of that.
func Download(ctx context.Context, work, requirement, sum string, form Form, say debian.Progress) (string, error) {
	pip, err := find(ctx, say)
	if err != nil {
		return "", err
	}
	list := filepath.Join(work, "requirements.txt")
	line := fmt.Sprintf("%s --hash=sha256:%s\n", requirement, sum)
	if err := os.WriteFile(list, []byte(line), 0o600); err != nil {
		return "", err
	}
	dest := filepath.Join(work, "files")
	args := append(pip[1:], "download", "--quiet", "--no-deps", string(form), "--require-hashes", "--dest", dest, "-r", list)
	if err := command.Run(exec.CommandContext(ctx, pip[0], args...)); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dest, "*"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("pip download %s left %q, want one file", requirement, files)
	}
	return files[0], nil
}

// find returns the command that runs pip. Where there is none, it is
// installed if root can do that with apt.
func find(ctx context.Context, say debian.Progress) ([]string, error) {
	if pip := pipCommand(ctx); pip != nil {
		return pip, nil
	}
	if os.Geteuid() != 0 || debian.Release() == "" {
		return nil, ErrNone
	}
	if err := debian.Install(ctx, "python3-pip", say); err != nil {
		return nil, errors.Join(ErrNone, err)
	}
	if pip := pipCommand(ctx); pip != nil {
		return pip, nil
	}
	return nil, ErrNone
}

// pipCommand returns the command that runs pip here, or nil.
func pipCommand(ctx context.Context) []string {
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}} {
		if exec.CommandContext(ctx, pip[0], append(pip[1:], "--version")...).Run() == nil {
			return pip
		}
	}
	return nil
}
