// Package images makes container images for tests that run real components,
// and Clover itself, as pods. They are for this machine's architecture.
package images

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/opnfv/clover/deploy/images"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// Archive is a file that a container runtime loads.
type Archive struct {
	// Ref is the image's name in it.
	Ref string
	// File is the archive.
	File string
}

// Registry and Tag are those of every image of this package.
const (
	Registry = "opnfv"
	Tag      = "test"
)

// Jaeger is Jaeger's all-in-one program.
func Jaeger(t testing.TB) Archive {
	return component(t, components.JaegerV1(), "jaeger", 16686, 4317, 4318, 9411)
}

// Prometheus is the Prometheus server, with discovery by Kubernetes.
func Prometheus(t testing.TB) Archive {
	return component(t, components.PrometheusKubernetes(), "prometheus", 9090)
}

// component makes an image of a component's program, with what it is linked
// with on this machine.
func component(t testing.TB, c components.Component, name string, ports ...int) Archive {
	t.Helper()
	program := testutil.Require(t, c)
	linked, err := images.WithLibraries(runtime.GOARCH, []string{program}, []string{"/"})
	if err != nil {
		t.Fatal(err)
	}
	inside := "/usr/local/bin/" + name
	files := maps.Clone(linked)
	files[inside] = files[program]
	delete(files, program)
	img, err := images.New(files, images.Config{Arch: runtime.GOARCH, Entrypoint: []string{inside}, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	a := Archive{Ref: Registry + "/" + name + ":" + Tag, File: filepath.Join(t.TempDir(), name+".tar")}
	if err := images.WriteArchive(a.File, a.Ref, img); err != nil {
		t.Fatal(err)
	}
	return a
}

// Clover builds images of the release, all of them if none is named, from the
// repository whose root is the folder source.
func Clover(t testing.TB, source string, names ...string) []Archive {
	t.Helper()
	chosen, err := images.Find(names...)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := components.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	built, err := images.Build(t.Context(), chosen, images.Options{
		Source: source, Out: t.TempDir(), Cache: cache, Registry: Registry, Tag: Tag,
		Archs: []string{runtime.GOARCH}, Progress: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []Archive
	for _, r := range built {
		out = append(out, Archive{Ref: r.Ref, File: r.Archives[runtime.GOARCH]})
	}
	return out
}
