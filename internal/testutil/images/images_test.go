package images

import (
	"archive/tar"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/opnfv/clover/internal/testutil"
)

// TestComponents makes the images and looks for the programs that they start.
func TestComponents(t *testing.T) {
	if runtime.GOOS != "linux" {
		testutil.Missing(t, "linux", "images are of programs for Linux")
	}
	for want, make := range map[string]func(testing.TB) Archive{
		"opnfv/jaeger:test": Jaeger, "opnfv/prometheus:test": Prometheus,
		"opnfv/ping:test":                func(t testing.TB) Archive { return Ping(t, "../../..") },
		"opnfv/clover-sdc-suricata:test": func(t testing.TB) Archive { return SuricataSDC(t, "../../..") },
	} {
		a := make(t)
		tag, err := name.NewTag(a.Ref)
		if err != nil {
			t.Fatal(err)
		}
		img, err := tarball.ImageFromPath(a.File, &tag)
		if err != nil || a.Ref != want {
			t.Fatalf("%s: %v", a.Ref, err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if !has(t, mutate.Extract(img), strings.TrimPrefix(config.Config.Entrypoint[0], "/")) {
			t.Errorf("%s does not hold what it starts, %v", a.Ref, config.Config.Entrypoint)
		}
	}
}

// has reports whether a file system has a file.
func has(t *testing.T, content io.ReadCloser, name string) bool {
	t.Helper()
	defer content.Close()
	found := false
	for tr := tar.NewReader(content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found = found || h.Name == name
	}
}
