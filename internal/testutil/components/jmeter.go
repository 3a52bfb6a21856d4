package components

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/command"
	"github.com/opnfv/clover/internal/debian"
)

// jmeterVersion is the release that internal/testutil/jmeterbin/pom.xml names.
const jmeterVersion = "5.6.3"

// JMeter is Apache JMeter, put together from its Maven artefacts. The path is
// that of a script that starts it; the folder above bin is JMeter's home. It
// needs a Java, which [EnsureJava] brings.
func JMeter() Component {
	return Component{
		Name: "jmeter", Title: "Apache JMeter", Version: jmeterVersion,
		verb: "fetching", cost: "90 MB", binary: "bin/jmeter",
		key: func() (string, error) {
			dir, err := nested("jmeterbin")
			if err != nil {
				return "", err
			}
			h := sha256.New()
			err = hashFiles(h, dir, "pom.xml")
			return hex.EncodeToString(h.Sum(nil))[:10], err
		},
		install: installJMeter,
	}
}

func installJMeter(ctx context.Context, dir string, log io.Writer) error {
	if err := EnsureJava(ctx, log); err != nil {
		return err
	}
	if err := ensureProgram(ctx, "mvn", "maven", log); err != nil {
		return err
	}
	src, err := nested("jmeterbin")
	if err != nil {
		return err
	}
	lib := filepath.Join(dir, "lib")
	if err := command.Run(exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(src, "pom.xml"),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+lib)); err != nil {
		return err
	}
	if err := arrangeJMeter(dir, lib); err != nil {
		return err
	}
	script := `#!/bin/sh
home=$(cd "$(dirname "$0")/.." && pwd)
exec java $JVM_ARGS -Djava.awt.headless=true -jar "$home/bin/ApacheJMeter.jar" "$@"
`
	return os.WriteFile(filepath.Join(dir, "bin", "jmeter"), []byte(script), 0o600)
}

// arrangeJMeter moves the jars to where JMeter looks for them and unpacks its
// settings.
func arrangeJMeter(dir, lib string) error {
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
		if err := unzip(&archive.Reader, f.Name, to); err != nil {
			return err
		}
	}
	return nil
}

// EnsureJava installs Debian's Java if there is none on the path and we may.
func EnsureJava(ctx context.Context, log io.Writer) error {
	return ensureProgram(ctx, "java", "default-jre-headless", log)
}

// ensureProgram installs Debian's package if the program is not on the path.
func ensureProgram(ctx context.Context, program, pkg string, log io.Writer) error {
	_, err := exec.LookPath(program)
	if err == nil {
		return nil
	}
	missing := fmt.Errorf("there is no %s; install it (on Debian: apt-get install %s)", program, pkg)
	if os.Geteuid() != 0 || debian.Release() == "" {
		return missing
	}
	if err := debian.Install(ctx, pkg, progress(log)); err != nil {
		return errors.Join(missing, err)
	}
	return nil
}
