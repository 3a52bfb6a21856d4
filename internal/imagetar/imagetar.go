// Package imagetar writes the files of a layer of a container image, the same
// bytes for the same files.
package imagetar

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// File is a file of an image: what Content or the file Source holds, or a
// symbolic link to Link.
type File struct {
	Content []byte
	Source  string
	Link    string
	Mode    fs.FileMode
}

// Epoch is the time of every file.
var Epoch = time.Unix(0, 0).UTC()

// Write writes files by their absolute paths, and the folders above them, as a
// tar file in the order of their names; all belongs to root.
func Write(w io.Writer, files map[string]File) error {
	names := map[string]bool{}
	for name := range files {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			names[dir+"/"] = true
		}
		names[name] = true
	}
	tw := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := writeEntry(tw, name, files[name]); err != nil {
			return err
		}
	}
	return tw.Close()
}

func writeEntry(tw *tar.Writer, name string, f File) error {
	h := &tar.Header{
		Name: strings.TrimPrefix(name, "/"), ModTime: Epoch, Format: tar.FormatPAX, Mode: int64(f.Mode.Perm()),
	}
	switch {
	case strings.HasSuffix(name, "/"):
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
		return tw.WriteHeader(h)
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		return tw.WriteHeader(h)
	case f.Source == "":
		return writeContent(tw, h, bytes.NewReader(f.Content), int64(len(f.Content)))
	}
	src, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	return writeContent(tw, h, src, info.Size())
}

func writeContent(tw *tar.Writer, h *tar.Header, r io.Reader, size int64) error {
	h.Typeflag, h.Size = tar.TypeReg, size
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(tw, r)
	return err
}
