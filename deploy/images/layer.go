package images

import (
	"compress/gzip"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/opnfv/clover/internal/imagetar"
)

// File is a file of an image: what Content or the file Source holds, or a
// symbolic link to Link.
type File = imagetar.File

// epoch is the time of every file in an image.
var epoch = imagetar.Epoch

// newLayer makes a layer of files by their absolute paths. The folders above
// them are made; all belongs to root.
func newLayer(files map[string]File, stored bool) (v1.Layer, error) {
	opener := func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(imagetar.Write(w, files)) }()
		return r, nil
	}
	how := tarball.WithCompressedCaching
	if stored {
		how = tarball.WithCompressionLevel(gzip.NoCompression)
	}
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), how)
}
