package images

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// small is a program of this repository that is quick to build.
var small = Image{Name: "small", Title: "Small", Description: "A test", Package: "./deploy/images/testdata/small", Ports: []int{8080}}

// build builds one image from this repository.
func build(t *testing.T, i Image, o Options) Result {
	t.Helper()
	o.Source, o.Tag, o.Out = filepath.Join("..", ".."), "t", t.TempDir()
	got, err := Build(t.Context(), []Image{i}, o)
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// tree reads every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSameBytesTwice builds in two folders and compares all that was written.
func TestSameBytesTwice(t *testing.T) {
	first, second := build(t, small, Options{}), build(t, small, Options{})
	a, b := tree(t, filepath.Dir(first.Layout)), tree(t, filepath.Dir(second.Layout))
	if len(a) == 0 || len(a) != len(b) {
		t.Fatalf("%d files, then %d", len(a), len(b))
	}
	for name, data := range a {
		if b[name] != data {
			t.Errorf("%s differs", name)
		}
	}
}

// TestLayout reads what was written as another tool does.
func TestLayout(t *testing.T) {
	r := build(t, small, Options{Registry: "team/", Revision: "abc"})
	if r.Ref != "team/small:t" {
		t.Errorf("reference %s", r.Ref)
	}
	l, err := layout.FromPath(r.Layout)
	if err != nil {
		t.Fatal(err)
	}
	index, err := l.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	outer, err := index.IndexManifest()
	if err != nil || len(outer.Manifests) != 1 || outer.Manifests[0].Digest.String() != r.Digest {
		t.Fatalf("%+v, %v", outer, err)
	}
	inner, err := index.ImageIndex(outer.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var archs []string
	for _, m := range manifest.Manifests {
		archs = append(archs, m.Platform.OS+"/"+m.Platform.Architecture)
	}
	if got := strings.Join(archs, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("platforms %s", got)
	}
}

// TestArchive loads an archive and looks at the user, the labels, the owners
// and the times of what is inside.
func TestArchive(t *testing.T) {
	r := build(t, small, Options{Archs: []string{runtime.GOARCH}, Revision: "abc"})
	img, err := tarball.ImageFromPath(r.Archives[runtime.GOARCH], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || c.Labels["org.opencontainers.image.revision"] != "abc" ||
		c.Entrypoint[0] != "/usr/local/bin/small" || len(c.ExposedPorts) != 1 {
		t.Errorf("%+v", c)
	}
	found := map[string]bool{}
	content := mutate.Extract(img)
	defer content.Close()
	for tr := tar.NewReader(content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(epoch) || h.Mode&0o022 != 0 {
			t.Errorf("%s: owner %d:%d, time %s, mode %o", h.Name, h.Uid, h.Gid, h.ModTime, h.Mode)
		}
		found[h.Name] = true
	}
	for _, name := range []string{"etc/passwd", "etc/group", "etc/ssl/certs/ca-certificates.crt", "usr/local/bin/small"} {
		if !found[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestDebianProgram makes the image of Redis and runs it with nothing but the
// libraries that are in it.
func TestDebianProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches Debian packages")
	}
	cache, err := components.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	redis, err := Find("clover-redis")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Source: ".", Tag: "t", Out: t.TempDir(), Cache: cache, Archs: []string{runtime.GOARCH}, Progress: os.Stderr}
	built, err := Build(t.Context(), redis, o)
	if errors.Is(err, ErrNoApt) {
		testutil.Missing(t, "redis", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(built[0].Archives[runtime.GOARCH], nil)
	if err != nil {
		t.Fatal(err)
	}
	root := extract(t, mutate.Extract(img))
	dir := multiarch[runtime.GOARCH]
	linker, err := filepath.Glob(filepath.Join(root, "lib*", "ld-linux-*.so.*"))
	if err != nil || len(linker) == 0 {
		t.Fatalf("no dynamic linker: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), linker[0], "--inhibit-cache", "--library-path",
		filepath.Join(root, "lib", dir)+":"+filepath.Join(root, "usr", "lib", dir),
		filepath.Join(root, "usr", "bin", "redis-server"), "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Redis server v=") {
		t.Errorf("%v: %s", err, out)
	}
}

// extract unpacks a file system of an image.
func extract(t *testing.T, content io.ReadCloser) string {
	t.Helper()
	defer content.Close()
	root := t.TempDir()
	for tr := tar.NewReader(content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(root, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(name, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	if _, err := Find("clover-nothing"); err == nil || !strings.Contains(err.Error(), "clover-controller") {
		t.Errorf("%v", err)
	}
	if _, err := WithLibraries("mips", nil, nil); err == nil {
		t.Error("an unknown architecture is accepted")
	}
	if _, err := WithLibraries("amd64", []string{"/usr/bin/nothing"}, []string{t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
