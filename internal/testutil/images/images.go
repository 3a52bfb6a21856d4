// Package images makes container images for tests that run real components,
// and Clover itself, as pods. They are for this machine's architecture.
package images

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	return write(t, name, files, images.Config{Arch: runtime.GOARCH, Entrypoint: []string{inside}, Ports: ports})
}

// write makes an image of files.
func write(t testing.TB, name string, files map[string]images.File, c images.Config) Archive {
	t.Helper()
	img, err := images.New(c, &images.Layer{Comment: "program", Files: files, Stored: true})
	if err != nil {
		t.Fatal(err)
	}
	a := Archive{Ref: Registry + "/" + name + ":" + Tag, File: filepath.Join(t.TempDir(), name+".tar")}
	if err := images.WriteArchive(a.File, a.Ref, img); err != nil {
		t.Fatal(err)
	}
	return a
}

// Ping sends an ICMP echo request to each address that it is given, for which
// it has to be root. The root of the repository is the folder source.
func Ping(t testing.TB, source string) Archive {
	return build(t, source, images.Image{Name: "ping", Package: "./internal/testutil/images/testdata/ping"})[0]
}

// SuricataSDC is the program of the SDC sample beside Suricata, from the
// repository whose root is the folder source.
func SuricataSDC(t testing.TB, source string) Archive {
	t.Helper()
	root := components.SDCRootFolder(testutil.Require(t, components.SDCRoot()))
	files, err := images.WithLibraries(runtime.GOARCH, []string{"/usr/bin/suricata"}, []string{root})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"classification.config", "reference.config", "threshold.config"} {
		inside := "/etc/suricata/" + name
		files[inside] = images.File{Source: filepath.Join(root, inside), Mode: 0o644}
	}
	program, inside := filepath.Join(t.TempDir(), "sdc"), "/usr/local/bin/clover-sdc"
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./examples/sdc")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files[inside] = images.File{Source: program, Mode: 0o755}
	return write(t, "clover-sdc-suricata", files, images.Config{Arch: runtime.GOARCH, Entrypoint: []string{inside}})
}

// Clover builds images of the release, all of them if none is named, from the
// repository whose root is the folder source.
func Clover(t testing.TB, source string, names ...string) []Archive {
	t.Helper()
	chosen, err := images.Find(names...)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, source, chosen...)
}

// build builds images as a release does.
func build(t testing.TB, source string, chosen ...images.Image) []Archive {
	t.Helper()
	cache, err := components.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	o := images.Options{
		Source: source, Out: t.TempDir(), Cache: cache, Registry: Registry, Tag: Tag,
		Archs: []string{runtime.GOARCH}, Progress: os.Stderr, Stored: true,
	}
	if slices.ContainsFunc(chosen, func(i images.Image) bool { return i.JMeter }) {
		o.JMeter = testutil.JMeter(t)
	}
	if slices.ContainsFunc(chosen, func(i images.Image) bool { return i.Cassandra }) {
		o.Cassandra = filepath.Dir(filepath.Dir(testutil.Require(t, components.Cassandra())))
	}
	if slices.ContainsFunc(chosen, func(i images.Image) bool { return i.Spark }) {
		o.Spark = filepath.Dir(filepath.Dir(testutil.Require(t, components.Spark())))
	}
	built, err := images.Build(t.Context(), chosen, o)
	if err != nil {
		t.Fatal(err)
	}
	var out []Archive
	for _, r := range built {
		out = append(out, Archive{Ref: r.Ref, File: r.Archives[runtime.GOARCH]})
	}
	return out
}
