// Package maven fetches Java programs as artefacts of Maven.
package maven

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opnfv/clover/internal/command"
)

// ErrNoMaven says that this system cannot fetch artefacts.
var ErrNoMaven = fmt.Errorf("needs Maven (on Debian: apt-get install maven): %w", errors.ErrUnsupported)

// Fetch puts the jars that a pom.xml names, with all that they need to run,
// into the folder dir. Maven checks them by the checksums of the repository.
func Fetch(ctx context.Context, pom []byte, dir string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return ErrNoMaven
	}
	work, err := os.MkdirTemp("", "clover-maven-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return err
	}
	return command.Run(exec.CommandContext(ctx, "mvn", "-q", "-B", "-C", "-f", file,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir))
}
