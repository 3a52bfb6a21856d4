package loadbalancer

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"strings"
)

// maxFiles bounds the files of one update.
const maxFiles = 256

// CopyFiles puts files into the site whose folder is root, each as a whole or
// not at all, and returns how many it has put in place. Nothing outside of root
// is read or written, whatever links lie in it.
func CopyFiles(root string, files []FileCopy) (int, error) {
	if err := CheckFiles(files); err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, nil
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return 0, fmt.Errorf("site root: %w", err)
	}
	defer func() { _ = r.Close() }() // nothing was written through it that Close could lose
	for i, f := range files {
		if err := copyFile(r, below(root, f.Source), below(root, f.Destination)); err != nil {
			return i, fmt.Errorf("%s: %w", index("files", i), err)
		}
	}
	return len(files), nil
}

// CheckFiles checks what CopyFiles is to be given, so that it can be refused
// before anything is done.
func CheckFiles(files []FileCopy) error {
	if len(files) > maxFiles {
		return &FieldError{Field: "files", Msg: fmt.Sprintf("%d files; at most %d", len(files), maxFiles)}
	}
	for i, f := range files {
		if err := errors.Join(checkFile(f.Source), checkFile(f.Destination)); err != nil {
			return &FieldError{Field: index("files", i), Msg: err.Error()}
		}
	}
	return nil
}

// below takes the site's root off a name that begins with it.
func below(root, name string) string {
	name = strings.TrimPrefix(name, "/")
	return strings.TrimPrefix(name, strings.Trim(root, "/")+"/")
}

func copyFile(root *os.Root, from, to string) error {
	src, err := root.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if info, err := src.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s is no regular file", from))
	}
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	part := fmt.Sprintf("%s.%016x.part", to, rand.Uint64())
	dst, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Close()); err != nil {
		return errors.Join(err, root.Remove(part))
	}
	return root.Rename(part, to)
}
