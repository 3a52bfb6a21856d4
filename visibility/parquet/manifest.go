package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Manifest says what a folder holds. It is in the file _clover.json, a name
// that engines leave out.
type Manifest struct {
	Version int           `json:"version"`
	Window  time.Duration `json:"window_ns"`
	// All traces that began in [From, Through) are in the folder, as far as
	// their spans had come.
	From    time.Time `json:"from"`
	Through time.Time `json:"through"`
	Files   []File    `json:"files"` // by From
}

// File is a window with traces in it.
type File struct {
	Path   string    `json:"path"` // below the folder, with slashes
	From   time.Time `json:"from"` // of the window in which its traces began
	Traces int64     `json:"traces"`
	Spans  int64     `json:"spans"`
}

const (
	manifestName    = "_clover.json"
	manifestVersion = 1
)

// ReadManifest reads the manifest of a folder. One that was never exported
// to has the zero Manifest.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return m, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("manifest: %s: %w", filepath.Join(dir, manifestName), err)
	}
	if m.Version > manifestVersion {
		return m, fmt.Errorf("manifest: %s is of version %d, newer than this program: %w", dir, m.Version, visibility.ErrUnsupported)
	}
	return m, nil
}

// Spans is the number of spans in all files.
func (m *Manifest) Spans() (n int64) {
	for i := range m.Files {
		n += m.Files[i].Spans
	}
	return n
}

// file returns the file of the window that begins then; its zero value if
// there is none.
func (m *Manifest) file(from time.Time) File {
	i := slices.IndexFunc(m.Files, func(f File) bool { return f.From.Equal(from) })
	if i < 0 {
		return File{From: from}
	}
	return m.Files[i]
}

// set puts a file in the place of the one of the same window.
func (m *Manifest) set(f File) {
	m.Files = slices.DeleteFunc(m.Files, func(o File) bool { return o.From.Equal(f.From) })
	if f.Spans > 0 {
		m.Files = append(m.Files, f)
		slices.SortFunc(m.Files, func(a, b File) int { return a.From.Compare(b.From) })
	}
}

func (m *Manifest) write(dir string) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return replace(filepath.Join(dir, manifestName), func(f *os.File) error {
		_, err := f.Write(append(raw, '\n'))
		return err
	})
}

// replace writes a file beside its place and renames it when it is whole and
// on disk.
func replace(path string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".clover-*.tmp")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
