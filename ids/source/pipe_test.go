//go:build unix

package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opnfv/clover/ids"
)

// TestOnlyFilesAreRead holds that nothing in a folder makes Load wait or read
// for ever.
func TestOnlyFilesAreRead(t *testing.T) {
	for kind, make := range map[string]func(path string) error{
		"a named pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a device":     func(path string) error { return os.Symlink("/dev/zero", path) },
		"a folder":     func(path string) error { return os.Symlink("/", path) },
	} {
		dir := t.TempDir()
		if err := make(filepath.Join(dir, "x.rules")); err != nil {
			t.Fatal(err)
		}
		_, err := Source{Folders: []string{dir}, Dialect: ids.Suricata}.Load(t.Context())
		if !errors.Is(err, ErrNotFile) || !strings.Contains(err.Error(), "x.rules: not a file: it is "+kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "a")
	if err := errors.Join(os.WriteFile(file, []byte(rule(1)), 0o600), os.Symlink(file, filepath.Join(dir, "a.rules"))); err != nil {
		t.Fatal(err)
	}
	if r, err := (Source{Folders: []string{dir}, Dialect: ids.Suricata}).Load(t.Context()); err != nil || r.Len() != 1 {
		t.Errorf("a link to a file: %v, %v", r, err)
	}
}
