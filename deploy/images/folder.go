package images

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// folder returns the files below dir by their paths below inside. Links stay
// links.
func folder(dir, inside string) (map[string]File, error) {
	files := map[string]File{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		at := path.Join(inside, filepath.ToSlash(below))
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			files[at] = File{Link: target}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[at] = File{Source: name, Mode: 0o644 | info.Mode()&0o111}
		return nil
	})
	return files, err
}

// folders returns what the folders of a Debian package hold in any of the
// roots.
func folders(d Debian, roots []string) (map[string]File, error) {
	all := map[string]File{}
	for _, inside := range d.Folders {
		for _, root := range roots {
			dir := filepath.Join(root, filepath.FromSlash(inside))
			if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
				continue // this part of Debian has nothing there
			}
			found, err := folder(dir, inside)
			if err != nil {
				return nil, err
			}
			for name, f := range found {
				if !slices.Contains(d.Without, name) {
					all[name] = f
				}
			}
		}
	}
	return all, nil
}
