package images

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFolders lays two packages over each other: links stay, what is executable
// stays so, and what is not wanted is left out.
func TestFolders(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for name, mode := range map[string]os.FileMode{
		filepath.Join(one, "opt", "java-arm64", "bin", "java"): 0o755,
		filepath.Join(one, "opt", "java-arm64", "lib", "big"):  0o644,
		filepath.Join(two, "opt", "java-arm64", "lib", "more"): 0o600,
		filepath.Join(two, "etc", "other"):                     0o644,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("text"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../lib/more", filepath.Join(two, "opt", "java-arm64", "link")); err != nil {
		t.Fatal(err)
	}
	d := Debian{
		Programs: []string{"/opt/java-{arch}/bin/java"}, Folders: []string{"/opt/java-{arch}", "/nowhere"},
		Without: []string{"/opt/java-{arch}/lib/big"}, Links: map[string]string{"/bin/java": "/opt/java-{arch}/bin/java"},
	}.For("arm64")
	if d.Programs[0] != "/opt/java-arm64/bin/java" || d.Links["/bin/java"] != d.Programs[0] {
		t.Errorf("%+v", d)
	}
	files, err := folders(d, []string{one, two})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(files)), " "); got != "/opt/java-arm64/bin/java /opt/java-arm64/lib/more /opt/java-arm64/link" {
		t.Error(got)
	}
	if f := files["/opt/java-arm64/link"]; f.Link != "../lib/more" {
		t.Errorf("%+v", f)
	}
	if java, more := files["/opt/java-arm64/bin/java"].Mode, files["/opt/java-arm64/lib/more"].Mode; java != 0o755 || more != 0o644 {
		t.Errorf("modes %o and %o", java, more)
	}
}
