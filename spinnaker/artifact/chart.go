// Package artifact brings what pipelines deliver to where they fetch it: it
// packages Helm charts, byte for byte the same each time, and stores them in
// an S3-compatible store.
package artifact

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/opnfv/clover/spinnaker"
)

// Bounds of a chart, those of Helm (pkg/chart/loader/archive).
const (
	maxChartBytes = 100 << 20
	maxFileBytes  = 5 << 20
)

// Chart is a chart that was packaged.
type Chart struct {
	Name, Version string
	// Files are how many it has, Bytes how large they are.
	Files int
	Bytes int64
}

// FileName returns NAME-VERSION.tgz, as helm package has it.
func (c Chart) FileName() string { return c.Name + "-" + c.Version + ".tgz" }

var (
	chartName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	// version is that of semver.org, which Helm 4 wants.
	version = regexp.MustCompile(`^v?(0|[1-9]\d*)(\.(0|[1-9]\d*)){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

// Package writes the chart in a folder as an archive that Helm takes, without
// what .helmignore names. The same files give the same bytes. Dependencies
// must be in the folder charts already.
func Package(chart fs.FS, w io.Writer) (Chart, error) {
	c, err := metadata(chart)
	if err != nil {
		return c, err
	}
	ignore, err := readIgnore(chart)
	if err != nil {
		return c, err
	}
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	err = fs.WalkDir(chart, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case ignore.ignores(name, d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return &spinnaker.FieldError{Field: name, Msg: "is no regular file; a chart cannot have links or devices"}
		}
		return c.add(archive, chart, name)
	})
	return c, cmp.Or(err, errors.Join(archive.Close(), zip.Close()))
}

func (c *Chart) add(archive *tar.Writer, chart fs.FS, name string) error {
	data, err := fs.ReadFile(chart, name)
	if err != nil {
		return err
	}
	c.Files, c.Bytes = c.Files+1, c.Bytes+int64(len(data))
	if len(data) > maxFileBytes || c.Bytes > maxChartBytes {
		return &spinnaker.FieldError{Field: name, Msg: fmt.Sprintf("is too large for Helm: a file may have %d bytes, a chart %d", maxFileBytes, maxChartBytes)}
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(c.Name, name), Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = archive.Write(data)
	return err
}

func metadata(chart fs.FS) (Chart, error) {
	data, err := fs.ReadFile(chart, "Chart.yaml")
	if err != nil {
		return Chart{}, &spinnaker.FieldError{Field: "Chart.yaml", Msg: "cannot be read: " + spinnaker.Cause(err).Error()}
	}
	var meta struct {
		APIVersion string `yaml:"apiVersion"`
		Name       string `yaml:"name"`
		Version    string `yaml:"version"`
	}
	if err := yaml.Unmarshal(data, &meta); err != nil {
		return Chart{}, &spinnaker.FieldError{Field: "Chart.yaml", Msg: err.Error()}
	}
	switch {
	case meta.APIVersion != "v1" && meta.APIVersion != "v2":
		return Chart{}, &spinnaker.FieldError{Field: "Chart.yaml: apiVersion", Msg: fmt.Sprintf("%q; want v2", meta.APIVersion)}
	case !chartName.MatchString(meta.Name) || strings.Trim(meta.Name, ".") == "":
		return Chart{}, &spinnaker.FieldError{Field: "Chart.yaml: name", Msg: fmt.Sprintf("%q; want letters, digits, -, _ and .", meta.Name)}
	case !version.MatchString(meta.Version):
		return Chart{}, &spinnaker.FieldError{Field: "Chart.yaml: version", Msg: fmt.Sprintf("%q; want a semantic version, e.g. 0.1.0", meta.Version)}
	}
	return Chart{Name: meta.Name, Version: meta.Version}, nil
}
