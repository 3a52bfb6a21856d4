package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// waitLimit is how long a program that was told to end may take.
const waitLimit = 5 * time.Second

// docker is how to reach a Docker daemon.
type docker struct {
	// root is the Debian root file system with Docker in it; empty for a
	// Docker that was there before.
	root string
	host string // as in DOCKER_HOST
}

// findDocker returns the Docker of this machine if it answers, else what is
// needed to start one.
func findDocker(ctx context.Context, progress io.Writer) (docker, error) {
	if components.DockerAnswers(ctx) {
		return docker{}, nil
	}
	dockerd, err := components.NodeRoot().Ensure(ctx, progress)
	if err != nil {
		return docker{}, err
	}
	if _, err := components.NodeImage().Ensure(ctx, progress); err != nil {
		return docker{}, err
	}
	return docker{root: strings.TrimSuffix(dockerd, "/usr/sbin/dockerd")}, nil
}

// external reports whether the daemon was there before.
func (d docker) external() bool { return d.root == "" }

// run runs a program that talks to the daemon and returns what it prints.
func (d docker) run(ctx context.Context, name string, args ...string) (string, error) {
	env := os.Environ()
	if !d.external() {
		bin := filepath.Join(d.root, "usr", "bin")
		env = append(env, "DOCKER_HOST="+d.host, "PATH="+os.Getenv("PATH")+":"+bin)
		if name == "docker" {
			name = filepath.Join(bin, name)
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.WaitDelay = waitLimit
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		const keep = 4000
		text := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, text[max(0, len(text)-keep):])
	}
	return stdout.String(), nil
}
