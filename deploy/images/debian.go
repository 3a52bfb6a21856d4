package images

import (
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/debian"
)

// ErrNoApt says that this system cannot fetch Debian packages.
var ErrNoApt = debian.ErrNoApt

// addLicences adds what the packages that files come from, each unpacked into
// one of the roots, say of their licences.
func addLicences(files map[string]File, roots []string) error {
	used := map[string]bool{}
	for _, f := range files {
		for _, root := range roots {
			if strings.HasPrefix(f.Source, root+string(filepath.Separator)) {
				used[root] = true
			}
		}
	}
	for root := range used {
		found, err := filepath.Glob(filepath.Join(root, "usr", "share", "doc", "*", "copyright"))
		if err != nil {
			return err
		}
		for _, f := range found {
			files[filepath.ToSlash(strings.TrimPrefix(f, root))] = File{Source: f, Mode: 0o644}
		}
	}
	return nil
}
