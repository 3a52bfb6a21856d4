package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opnfv/clover/internal/recordfile"
)

// ruleFile is the file that an engine loads its rules from.
type ruleFile struct{ path string }

// ensure makes the file, empty, if it is not there.
func (f ruleFile) ensure() error {
	if _, err := os.Stat(f.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeDurable(f.path, nil)
}

func (f ruleFile) read() ([]byte, error) { return os.ReadFile(f.path) }

// stage writes rules beside the file and returns where. The name ends like
// that of a file of rules, which some engines insist on.
func (f ruleFile) stage(rules []byte) (string, error) {
	path := f.path + ".new.rules"
	if len(rules) > 0 && !bytes.HasSuffix(rules, []byte("\n")) {
		rules = append(bytes.Clone(rules), '\n')
	}
	return path, writeDurable(path, rules)
}

// swap puts the staged rules in the place of the old ones. undo brings those
// back.
func (f ruleFile) swap(staged string) (undo func() error, err error) {
	old, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := os.Rename(staged, f.path); err != nil {
		return nil, err
	}
	return func() error { return writeDurable(f.path, old) }, recordfile.SyncDir(filepath.Dir(f.path))
}

// writeDurable writes a file so that there is either the old one or the new
// one, whatever happens.
func writeDurable(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return recordfile.SyncDir(filepath.Dir(path))
}
