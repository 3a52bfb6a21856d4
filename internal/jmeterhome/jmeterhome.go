// Package jmeterhome puts Apache JMeter's home folder together from its Maven
// artefacts. Maven checks what it fetches by the checksums of the repository.
package jmeterhome

import (
	"archive/zip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/command"
)

// Version is the release that pom.xml names.
const Version = "5.6.3"

// POM names what JMeter consists of.
//
//go:embed pom.xml
var POM []byte

// ErrNoMaven says that this system cannot fetch Maven artefacts.
var ErrNoMaven = fmt.Errorf("needs Maven (on Debian: apt-get install maven): %w", errors.ErrUnsupported)

// Fetch makes JMeter's home of the folder dir: bin/ApacheJMeter.jar, the
// settings beside it, and lib. JMeter's own script to start it is not there.
func Fetch(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return ErrNoMaven
	}
	work, err := os.MkdirTemp("", "clover-maven-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	pom, lib := filepath.Join(work, "pom.xml"), filepath.Join(dir, "lib")
	if err := os.WriteFile(pom, POM, 0o600); err != nil {
		return err
	}
	if err := command.Run(exec.CommandContext(ctx, "mvn", "-q", "-B", "-C", "-f", pom,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+lib)); err != nil {
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
