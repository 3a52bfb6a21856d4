package components

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/debian"
)

// Wrk is the load generator wrk: Debian's packages, unpacked into the cache
// without being installed, or, on systems without apt, the wrk on the path.
// Only benchmarks need it, so it is not among All.
func Wrk() Component {
	c := Component{
		Name: "wrk", Title: "wrk", Version: debian.Release(), verb: "fetching", cost: "300 KB", binary: "run-wrk",
		install: installWrk,
	}
	if c.Version == "" {
		c.Version, c.verb, c.cost, c.install = "system", "looking for", "nothing to fetch", linkWrk
	}
	return c
}

func installWrk(ctx context.Context, dir string, log io.Writer) error {
	for _, pkg := range []string{"wrk", "libluajit-5.1-2", "libssl3"} {
		if err := debian.Fetch(ctx, dir, pkg, progress(log)); err != nil {
			return err
		}
	}
	libraries, err := onlyOne(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return err
	}
	return writeWrkScript(dir, fmt.Sprintf(`here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/usr/lib/%s" exec "$here/usr/bin/wrk" "$@"`, filepath.Base(libraries)))
}

func linkWrk(_ context.Context, dir string, _ io.Writer) error {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return fmt.Errorf("there is no apt to fetch it with; install wrk so that it is on the path: %w", err)
	}
	return writeWrkScript(dir, "exec '"+strings.ReplaceAll(path, "'", `'\''`)+`' "$@"`)
}

// writeWrkScript makes the program of the component.
func writeWrkScript(dir, body string) error {
	return os.WriteFile(filepath.Join(dir, "run-wrk"), []byte("#!/bin/sh\n"+body+"\n"), 0o600)
}
