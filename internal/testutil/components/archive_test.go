package components

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestWriteImages reads the archive with a library that others read such
// archives with.
func TestWriteImages(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("does it\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "images.tar")
	images := map[string]imageConfig{
		"clover.test/one:v1": {Entrypoint: []string{"/usr/bin/one"}, Env: []string{"PATH=/usr/bin"}},
		"clover.test/two:v1": {},
	}
	files := imageFiles{
		"/usr/bin/program": {Source: program, Mode: 0o755},
		"/usr/bin/one":     {Link: "program"},
	}
	if err := writeImages(archive, images, files); err != nil {
		t.Fatal(err)
	}
	for ref, config := range images {
		tag, err := name.NewTag(ref)
		if err != nil {
			t.Fatal(err)
		}
		image, err := tarball.ImageFromPath(archive, &tag)
		if err != nil {
			t.Fatal(err)
		}
		got, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Config.Entrypoint) != len(config.Entrypoint) || len(got.Config.Env) != len(config.Env) {
			t.Errorf("%s runs %q in %q, want %+v", ref, got.Config.Entrypoint, got.Config.Env, config)
		}
		found := make(map[string]string)
		eachFile(t, mutate.Extract(image), found)
		if found["usr/bin/program"] != "does it\n" || found["usr/bin/one"] != "-> program" {
			t.Errorf("%s has %q", ref, found)
		}
	}
	if _, err := os.Stat(archive + ".layer"); err == nil {
		t.Error("the layer is left beside the archive")
	}
}

// eachFile notes the files of a tar file, and where its links point to.
func eachFile(t *testing.T, from io.ReadCloser, found map[string]string) {
	t.Helper()
	defer from.Close()
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeSymlink {
			data = []byte("-> " + h.Linkname)
		}
		found[h.Name] = string(data)
	}
}
