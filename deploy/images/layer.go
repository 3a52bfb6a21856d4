package images

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

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// File is a file of an image: what Content or the file Source holds, or a
// symbolic link to Link.
type File struct {
	Content []byte
	Source  string
	Link    string
	Mode    fs.FileMode
}

// epoch is the time of every file in an image.
var epoch = time.Unix(0, 0).UTC()

// newLayer makes a layer of files by their absolute paths. The folders above
// them are made; all belongs to root.
func newLayer(files map[string]File) (v1.Layer, error) {
	opener := func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(writeTar(w, files)) }()
		return r, nil
	}
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// writeTar writes the files, and the folders above them, in the order of
// their names.
func writeTar(w io.Writer, files map[string]File) error {
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
		Name: strings.TrimPrefix(name, "/"), ModTime: epoch, Format: tar.FormatPAX, Mode: int64(f.Mode.Perm()),
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
