package images

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strconv"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Config says how an image starts and what it says of itself.
type Config struct {
	// Arch is the architecture in Go's name, as in amd64.
	Arch string
	// Entrypoint is the program and its first arguments.
	Entrypoint []string
	// Ports are the TCP ports that it listens on.
	Ports []int
	// Labels are the image's labels.
	Labels map[string]string
	// Created is the time that the image says it was made at; the zero time
	// means 1970.
	Created time.Time
}

// Layer is a layer of an image. [New] makes it once, however many images it is
// given for.
type Layer struct {
	// Comment says what is in it.
	Comment string
	// Files are its files by their absolute paths.
	Files map[string]File

	once  sync.Once
	layer v1.Layer
	err   error
}

func (l *Layer) make() (v1.Layer, error) {
	l.once.Do(func() { l.layer, l.err = newLayer(l.Files) })
	return l.layer, l.err
}

// New makes an image of layers, with a user to run as and the certificates of
// the public CAs beneath them.
func New(c Config, layers ...*Layer) (v1.Image, error) {
	base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	var added []mutate.Addendum
	for _, l := range append([]*Layer{{Comment: "user and CA certificates", Files: baseFiles()}}, layers...) {
		layer, err := l.make()
		if err != nil {
			return nil, fmt.Errorf("images: layer of the %s: %w", l.Comment, err)
		}
		added = append(added, mutate.Addendum{Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: c.created()}, CreatedBy: "clover images", Comment: l.Comment}})
	}
	img, err := mutate.Append(base, added...)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", c.Arch, v1.Time{Time: c.created()}
	file.Config = c.config()
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	return img, nil
}

func (c Config) created() time.Time {
	if c.Created.IsZero() {
		return epoch
	}
	return c.Created.UTC().Truncate(time.Second)
}

func (c Config) config() v1.Config {
	ports := map[string]struct{}{}
	for _, p := range c.Ports {
		ports[strconv.Itoa(p)+"/tcp"] = struct{}{}
	}
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", UserID, UserID),
		Env:          []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		Entrypoint:   c.Entrypoint,
		WorkingDir:   "/",
		ExposedPorts: ports,
		Labels:       c.Labels,
	}
}

// baseFiles are in every image.
func baseFiles() map[string]File {
	user := fmt.Sprintf("nonroot:x:%d:", UserID)
	return map[string]File{
		"/etc/passwd":                        {Mode: 0o644, Content: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\n%s%d:nonroot:/:/sbin/nologin\n", user, UserID)},
		"/etc/group":                         {Mode: 0o644, Content: []byte("root:x:0:\n" + user + "\n")},
		"/etc/ssl/certs/ca-certificates.crt": {Mode: 0o644, Content: certificates()},
	}
}

// certificates are the public CAs that Mozilla trusts without conditions, as
// the Go project publishes them: a version pinned by go.mod, not what the
// building machine trusts.
var certificates = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// A buffer takes everything.
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
})
