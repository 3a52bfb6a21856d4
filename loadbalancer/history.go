package loadbalancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// historyFormat is the number of the file's format.
const historyFormat = 1

type historyFile struct {
	Format   int       `json:"format"`
	Versions []Version `json:"versions"`
}

// loadHistory reads the history; there is none if the file is not there.
func loadHistory(path string) ([]Version, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var f historyFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("history %s: %w; move the file away to begin anew", path, err)
	}
	if f.Format != historyFormat {
		return nil, fmt.Errorf("history %s has format %d, want %d; it was written by another release", path, f.Format, historyFormat)
	}
	for i, v := range f.Versions {
		if i > 0 && v.Number <= f.Versions[i-1].Number {
			return nil, fmt.Errorf("history %s: version %d comes after %d", path, v.Number, f.Versions[i-1].Number)
		}
		if err := v.Config.Validate(); err != nil {
			return nil, fmt.Errorf("history %s: version %d: %w", path, v.Number, err)
		}
	}
	return f.Versions, nil
}

// saveHistory replaces the file as a whole: after a crash it is the old one or
// the new one.
func saveHistory(path string, versions []Version) (err error) {
	data, err := json.Marshal(historyFile{Format: historyFormat, Versions: versions})
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("history: %w", err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename last. Windows has no such call.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
