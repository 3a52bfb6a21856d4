package debian_test

import (
	"path/filepath"
	"testing"

	"github.com/opnfv/clover/internal/debian"
	"github.com/opnfv/clover/internal/testutil"
)

// small is a package of a few kilobytes, which needs the C library.
const small = "hostname"

func TestFetch(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches Debian packages")
	}
	if debian.Release() == "" {
		testutil.Missing(t, "debian", "there is no apt")
	}
	for name, test := range map[string]struct {
		fetch func(dir string) error
		files map[string]bool // pattern: there is such a file
	}{
		"of this release": {
			func(dir string) error { return debian.Fetch(t.Context(), dir, small, t.Logf) },
			map[string]bool{"bin/hostname": true, "lib": false},
		},
		"for another machine": {
			func(dir string) error { return debian.FetchAll(t.Context(), dir, small, "arm64") },
			map[string]bool{"hostname/bin/hostname": true, "libc6/*/aarch64-linux-gnu/libc.so.6": true, "libc6/*/x86_64-linux-gnu": false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := test.fetch(dir); err != nil {
				t.Fatal(err)
			}
			for pattern, wanted := range test.files {
				if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || (len(found) > 0) != wanted {
					t.Errorf("%s: %v, %v", pattern, found, err)
				}
			}
		})
	}
}
