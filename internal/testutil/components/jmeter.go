package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opnfv/clover/internal/debian"
	"github.com/opnfv/clover/internal/jmeterhome"
)

// JMeter is Apache JMeter, put together from its Maven artefacts. The path is
// that of a script that starts it; the folder above bin is JMeter's home. It
// needs a Java, which [EnsureJava] brings.
func JMeter() Component {
	return Component{
		Name: "jmeter", Title: "Apache JMeter", Version: jmeterhome.Version,
		verb: "fetching", cost: "90 MB", binary: "bin/jmeter",
		key: func() (string, error) {
			h := sha256.New()
			// A hash takes everything.
			_, _ = fmt.Fprintf(h, "pom.xml %d\n", len(jmeterhome.POM))
			h.Write(jmeterhome.POM)
			return hex.EncodeToString(h.Sum(nil))[:10], nil
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
	if err := jmeterhome.Fetch(ctx, dir); err != nil {
		return err
	}
	script := `#!/bin/sh
home=$(cd "$(dirname "$0")/.." && pwd)
exec java $JVM_ARGS -Djava.awt.headless=true -jar "$home/bin/ApacheJMeter.jar" "$@"
`
	return os.WriteFile(filepath.Join(dir, "bin", "jmeter"), []byte(script), 0o600)
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
