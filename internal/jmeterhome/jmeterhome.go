// Package jmeterhome puts Apache JMeter's home folder together from its Maven
// artefacts.
package jmeterhome

import (
	"archive/zip"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/maven"
)

// Version is the release that pom.xml names.
const Version = "5.6.3"

// POM names what JMeter consists of.
//
//go:embed pom.xml
var POM []byte

// Fetch makes JMeter's home of the folder dir: bin/ApacheJMeter.jar, the
// settings beside it, and lib. JMeter's own script to start it is not there.
func Fetch(ctx context.Context, dir string) error {
	lib := filepath.Join(dir, "lib")
	if err := maven.Fetch(ctx, POM, lib); err != nil {
		return err
	}
	return arrange(dir, lib)
}

// arrange moves the jars to where JMeter looks for them and unpacks its
// settings.
func arrange(dir, lib string) error {
	for _, sub := range []string{"bin", "lib/ext", "lib/junit"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(sub)), 0o755); err != nil {
			return err
		}
	}
	jars, err := filepath.Glob(filepath.Join(lib, "ApacheJMeter*.jar"))
	if err != nil {
		return err
	}
	for _, jar := range jars {
		name := filepath.Base(jar)
		to := filepath.Join(lib, "ext", name)
		switch {
		case strings.HasPrefix(name, "ApacheJMeter_config"):
			if err := unpackSettings(jar, dir); err != nil {
				return err
			}
			continue
		case strings.HasPrefix(name, "ApacheJMeter-"):
			to = filepath.Join(dir, "bin", "ApacheJMeter.jar")
		}
		if err := os.Rename(jar, to); err != nil {
			return err
		}
	}
	return nil
}

// unpackSettings writes the files below bin of a jar to below dir.
func unpackSettings(jar, dir string) error {
	archive, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	for _, f := range archive.File {
		if !strings.HasPrefix(f.Name, "bin/") || strings.HasSuffix(f.Name, "/") || !filepath.IsLocal(f.Name) {
			continue
		}
		to := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := unpack(f, to); err != nil {
			return err
		}
	}
	return nil
}

// maxSetting is more than any of JMeter's settings has.
const maxSetting = 16 << 20

// unpack writes one file of an archive.
func unpack(f *zip.File, to string) error {
	if f.UncompressedSize64 > maxSetting {
		return fmt.Errorf("%s has %d bytes", f.Name, f.UncompressedSize64)
	}
	src, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	data, err := io.ReadAll(io.LimitReader(src, maxSetting))
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return os.WriteFile(to, data, 0o644)
}
