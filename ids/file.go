package ids

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReadFile reads a rule file. The set is nil only if the file cannot be read
// at all; faults in its text are [SyntaxErrors] beside the set.
func ReadFile(path string, d Dialect) (*Ruleset, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(string(text), ParseOptions{Name: path, Dialect: d})
}

// WriteFile puts a rule file in its place at once: readers see the old text
// or the new one, also after a power cut. A file that was there keeps its
// permissions; a new one has 0644.
func WriteFile(path string, s *Ruleset) error { return writeAtomic(path, s.AppendText(nil)) }

func writeAtomic(path string, text []byte) (err error) {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name()) //nolint:errcheck // what is left is only garbage
			err = fmt.Errorf("write rules: %w", err)
		}
	}()
	if _, err = f.Write(text); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// syncFolder makes a rename last. Systems that cannot do it need not.
func syncFolder(path string) {
	if d, err := os.Open(path); err == nil {
		d.Sync() //nolint:errcheck // see above
		d.Close()
	}
}

// Edit is a change of a file that can be taken back.
type Edit struct {
	Path     string
	Replaced bool // a rule was replaced, not added
	existed  bool
	before   []byte
	after    []byte
}

// PutFile adds a rule to a file, or replaces the one with its gid and sid,
// in one step; the file is made if it is missing. The rest of the file stays
// byte for byte. If what comes next fails (the engine refuses the rule, say),
// [Edit.Undo] brings the file back.
//
// Nothing guards against two processes that edit one file at a time.
func PutFile(path string, r *Rule) (*Edit, error) {
	e := &Edit{Path: path, existed: true}
	var err error
	if e.before, err = os.ReadFile(path); errors.Is(err, fs.ErrNotExist) {
		e.existed = false
	} else if err != nil {
		return nil, err
	}
	// Faults in other rules do not stop this one.
	set, _ := Parse(string(e.before), ParseOptions{Name: path, Dialect: r.Dialect})
	if e.Replaced, err = set.Put(r); err != nil {
		return nil, err
	}
	e.after = set.AppendText(nil)
	if err := writeAtomic(path, e.after); err != nil {
		return nil, err
	}
	return e, nil
}

// ErrChanged says that a file is not as the edit left it.
var ErrChanged = errors.New("file has changed since")

// Undo brings the file back to what it was before. It refuses, with
// [ErrChanged], if somebody has changed the file in between.
func (e *Edit) Undo() error {
	now, err := os.ReadFile(e.Path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, e.after) {
		return fmt.Errorf("undo %s: %w", e.Path, ErrChanged)
	}
	if !e.existed {
		return os.Remove(e.Path)
	}
	return writeAtomic(e.Path, e.before)
}
