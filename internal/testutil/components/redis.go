package components

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opnfv/clover/internal/debian"
)

// redisPackages are the server and the libraries that it needs and that a
// small system has not got.
var redisPackages = []string{"redis-tools", "redis-server", "libjemalloc2", "liblzf1", "libatomic1"}

// Redis is the Redis server: Debian's packages, unpacked into the cache
// without being installed, or, on systems without apt, the redis-server on
// the path.
func Redis() Component {
	release := debian.Release()
	c := Component{
		Name: "redis", Title: "Redis", Version: release, verb: "fetching", cost: "1.5 MB", binary: "redis-server",
		install: installRedis,
	}
	if release == "" {
		c.Version, c.verb, c.cost, c.install = "system", "looking for", "nothing to fetch", linkRedis
	}
	return c
}

func installRedis(ctx context.Context, dir string, log io.Writer) error {
	for _, pkg := range redisPackages {
		if err := debian.Fetch(ctx, dir, pkg, progress(log)); err != nil {
			return err
		}
	}
	libraries, err := filepath.Glob(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return err
	}
	if len(libraries) != 1 {
		return fmt.Errorf("the packages have their libraries in %q, want one folder", libraries)
	}
	// The folder gets its name when it is whole, so the script finds it.
	return writeScript(dir, `here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/usr/lib/`+filepath.Base(libraries[0])+` exec "$here/usr/bin/redis-server" "$@"`)
}

func linkRedis(_ context.Context, dir string, _ io.Writer) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("there is no apt to fetch it with; install Redis so that redis-server is on the path: %w", err)
	}
	return writeScript(dir, "exec "+shellQuote(path)+` "$@"`)
}

// writeScript makes the program of the component.
func writeScript(dir, body string) error {
	return os.WriteFile(filepath.Join(dir, "redis-server"), []byte("#!/bin/sh\n"+body+"\n"), 0o600)
}
