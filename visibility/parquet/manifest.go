package parquet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// Dropping are the paths of files that no longer count, because of their
	// age, and may not all be removed yet.
	Dropping []string `json:"dropping,omitempty"`
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

// ReadManifest reads the manifest of a local folder. One that was never
// exported to has the zero Manifest.
func ReadManifest(dir string) (Manifest, error) {
	return ReadManifestFrom(context.Background(), Dir(dir))
}

// ReadManifestFrom is ReadManifest for any folder.
func ReadManifestFrom(ctx context.Context, folder Folder) (Manifest, error) {
	var m Manifest
	raw, err := folder.Read(ctx, manifestName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return m, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("manifest: %s of %s: %w", manifestName, folder, err)
	}
	if m.Version > manifestVersion {
		return m, fmt.Errorf("manifest: %s is of version %d, newer than this program: %w", folder, m.Version, visibility.ErrUnsupported)
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

func (m *Manifest) clone() Manifest {
	c := *m
	c.Files, c.Dropping = slices.Clone(m.Files), slices.Clone(m.Dropping)
	return c
}

// drop takes the files of windows out that ended before cutoff, a window's
// begin, and reports whether there were any. They are then among Dropping.
func (m *Manifest) drop(cutoff time.Time) bool {
	if m.From.Before(cutoff) {
		m.From = cutoff
	}
	if m.Through.Before(cutoff) {
		m.Through = cutoff
	}
	n := 0
	for n < len(m.Files) && m.Files[n].From.Before(cutoff) {
		m.Dropping = append(m.Dropping, m.Files[n].Path)
		n++
	}
	m.Files = slices.Delete(m.Files, 0, n)
	return n > 0
}

func (m *Manifest) write(ctx context.Context, folder Folder) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = folder.Replace(ctx, manifestName, func(w io.Writer) error {
			_, err := w.Write(append(raw, '\n'))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return nil
}
