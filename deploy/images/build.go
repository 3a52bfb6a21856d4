package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/opnfv/clover/internal/command"
	"github.com/opnfv/clover/internal/debian"
)

// Options says how images are built. Source, Out and Tag are needed.
type Options struct {
	// Source is the folder of this repository.
	Source string
	// Out is the folder that is written to.
	Out string
	// Cache keeps what was fetched; empty means a folder in Out.
	Cache string
	// JMeter is the home folder of Apache JMeter; empty means one in Cache,
	// which is fetched.
	JMeter string
	// Cassandra and Spark are the same for Apache Cassandra and Apache Spark.
	Cassandra, Spark string
	// Registry and Tag make the reference of an image, as in
	// registry/clover-controller:tag. An empty registry means opnfv.
	Registry, Tag string
	// Archs are architectures in Go's names; none means amd64 and arm64.
	Archs []string
	// Created is the time that the images say they were made at; the zero
	// time means 1970.
	Created time.Time
	// Revision is the commit that they are built from. If it is given, the
	// programs know their version, and whether there were changes since.
	Revision string
	// Stored leaves layers without compression, as [Layer.Stored] says.
	Stored bool
	// Progress gets a line for each step; nil means none.
	Progress io.Writer

	// What several images have is one layer, by its name.
	shared map[string]*Layer
}

// Result is an image that was built.
type Result struct {
	Image
	// Ref is its reference, with registry and tag.
	Ref string
	// Digest is that of its index.
	Digest string
	// Layout is the folder with its OCI layout, all architectures in one
	// index.
	Layout string
	// Archives are archives that a container runtime loads, by architecture.
	Archives map[string]string
}

// Build makes images and writes each as an OCI layout and as an archive for
// each architecture. The same sources, tools and options give the same bytes.
func Build(ctx context.Context, images []Image, o Options) ([]Result, error) {
	if o.Source == "" || o.Out == "" || o.Tag == "" {
		return nil, errors.New("images: Source, Out and Tag are needed")
	}
	if len(o.Archs) == 0 {
		o.Archs = []string{"amd64", "arm64"}
	}
	o.Registry = cmp.Or(strings.TrimSuffix(o.Registry, "/"), "opnfv")
	o.Cache = cmp.Or(o.Cache, filepath.Join(o.Out, "debian"))
	o.shared = map[string]*Layer{}
	var results []Result
	for _, i := range images {
		start := time.Now()
		r, err := o.build(ctx, i)
		if err != nil {
			return nil, err
		}
		o.say("built %s (%s, %s) in %s", r.Ref, strings.Join(o.Archs, ", "), r.Digest[:19], time.Since(start).Round(100*time.Millisecond))
		results = append(results, r)
	}
	return results, nil
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, "clover: "+format+"\n", args...)
	}
}

// build makes one image for each architecture and writes it.
func (o Options) build(ctx context.Context, i Image) (Result, error) {
	r := Result{
		Image: i, Ref: o.Registry + "/" + i.Name + ":" + o.Tag,
		Layout: filepath.Join(o.Out, i.Name), Archives: map[string]string{},
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range o.Archs {
		img, err := o.image(ctx, i, arch)
		if err != nil {
			return r, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
		r.Archives[arch] = filepath.Join(o.Out, i.Name+"-"+arch+".tar")
		if err := WriteArchive(r.Archives[arch], r.Ref, img); err != nil {
			return r, err
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return r, fmt.Errorf("images: %w", err)
	}
	r.Digest = digest.String()
	if err := writeLayout(r.Layout, r.Ref, index); err != nil {
		return r, fmt.Errorf("images: %w", err)
	}
	return r, nil
}

// image makes an image for one architecture.
func (o Options) image(ctx context.Context, i Image, arch string) (v1.Image, error) {
	layers, program, err := o.layers(ctx, i, arch)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title":       i.Title,
		"org.opencontainers.image.description": i.Description,
		"org.opencontainers.image.version":     o.Tag,
		"org.opencontainers.image.source":      "https://github.com/opnfv/clover",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
	if i.Debian != nil {
		// The licences of what is inside are in /usr/share/doc.
		delete(labels, "org.opencontainers.image.licenses")
	}
	if o.Revision != "" {
		labels["org.opencontainers.image.revision"] = o.Revision
	}
	if !o.Created.IsZero() {
		labels["org.opencontainers.image.created"] = o.Created.UTC().Format(time.RFC3339)
	}
	return New(Config{Arch: arch, Entrypoint: append([]string{program}, i.Args...), Ports: i.Ports, Labels: labels, Created: o.Created}, layers...)
}

// layers are the image's own layers, and the program among their files that it
// starts.
func (o Options) layers(ctx context.Context, i Image, arch string) (layers []*Layer, start string, err error) {
	if i.Debian != nil {
		d := i.Debian.For(arch)
		l, err := o.share("Debian's "+d.Package+" for "+arch, func() (map[string]File, error) { return o.debianFiles(ctx, d, arch) })
		if err != nil {
			return nil, "", err
		}
		layers, start = append(layers, l), d.Programs[0]
	}
	for _, h := range o.homes(i) {
		l, err := o.share("Apache "+h.title, func() (map[string]File, error) { return h.files(ctx, o) })
		if err != nil {
			return nil, "", err
		}
		layers = append(layers, l)
	}
	if i.Package == "" {
		return layers, start, nil
	}
	name := cmp.Or(i.Program, i.Name)
	program := filepath.Join(o.Out, "programs", "linux-"+arch, name)
	if err := o.compile(ctx, i.Package, arch, program); err != nil {
		return nil, "", err
	}
	inside := path.Join("/usr/local/bin", name)
	l, err := o.share(name+" for "+arch, func() (map[string]File, error) {
		files := map[string]File{inside: {Source: program, Mode: 0o755}}
		for _, link := range i.Links {
			files[link] = File{Link: inside}
		}
		return files, nil
	})
	return append(layers, l), inside, err
}

// share returns the layer of that name, and makes it if no image had it yet.
func (o Options) share(name string, files func() (map[string]File, error)) (*Layer, error) {
	if l := o.shared[name]; l != nil {
		return l, nil
	}
	found, err := files()
	if err != nil {
		return nil, err
	}
	o.shared[name] = &Layer{Comment: name, Files: found, Stored: o.Stored}
	return o.shared[name], nil
}

// debianFiles are programs of Debian with their libraries and licences.
func (o Options) debianFiles(ctx context.Context, d Debian, arch string) (map[string]File, error) {
	roots, err := o.debianRoots(ctx, d.Package, arch)
	if err != nil {
		return nil, err
	}
	files, err := folders(d, roots)
	if err != nil {
		return nil, err
	}
	if err := addLibraries(files, arch, d.Programs, d.Libraries, roots); err != nil {
		return nil, err
	}
	for name, target := range d.Links {
		files[name] = File{Link: target}
	}
	return files, addLicences(files, roots)
}

// compile builds a Go program without cgo.
func (o Options) compile(ctx context.Context, pkg, arch, out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	stamp := "-buildvcs=false"
	if o.Revision != "" {
		stamp = "-buildvcs=auto"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", stamp, "-ldflags", "-s -w -buildid=", "-o", out, pkg)
	cmd.Dir = o.Source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	if err := command.Run(cmd); err != nil {
		return fmt.Errorf("images: %s for %s: %w", pkg, arch, err)
	}
	return nil
}

// debianRoots returns the folders of a Debian package and of what it depends
// on, and fetches them if the cache does not hold them.
func (o Options) debianRoots(ctx context.Context, pkg, arch string) ([]string, error) {
	dir := filepath.Join(o.Cache, "debian-"+pkg+"-"+arch)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		o.say("fetching Debian's %s for %s ...", pkg, arch)
		if err := intoFolder(dir, func(part string) error { return debian.FetchAll(ctx, part, pkg, arch) }); err != nil {
			return nil, fmt.Errorf("images: %w", err)
		}
	}
	return filepath.Glob(filepath.Join(dir, "*"))
}

// intoFolder makes the folder dir of what fetch puts into one beside it, if it
// does so without an error.
func intoFolder(dir string, fetch func(part string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(part) }()
	if err := fetch(part); err != nil {
		return err
	}
	if err := os.Rename(part, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// writeLayout writes an OCI layout and puts it in the place of an older one.
func writeLayout(dir, ref string, index v1.ImageIndex) error {
	part, err := os.MkdirTemp(filepath.Dir(dir), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(part) }()
	p, err := layout.Write(part, empty.Index)
	if err != nil {
		return err
	}
	err = p.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref}))
	if err != nil {
		return err
	}
	if err := os.Chmod(part, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// WriteArchive writes an image, under the name ref, as an archive that
// container runtimes load.
func WriteArchive(file, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("images: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := errors.Join(tarball.Write(tag, img, f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("images: write %s: %w", file, err)
	}
	return os.Rename(f.Name(), file)
}
