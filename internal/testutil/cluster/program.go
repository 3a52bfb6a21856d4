package cluster

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"
)

// programs are what Program has built.
var programs struct {
	sync.Mutex
	dir  string
	made map[string]string // by package
}

// Program builds a Go program, such as ./examples/cloverctl of the repository
// whose root is the folder source, and returns its file. It is built once for
// all tests of a package, and removed by [M].
func Program(t testing.TB, source, pkg string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if file := programs.made[pkg]; file != "" {
		return file
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "clover-programs-")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir, programs.made = dir, map[string]string{}
	}
	file := filepath.Join(programs.dir, path.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, pkg)
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	programs.made[pkg] = file
	return file
}

// removePrograms removes what Program has built.
func removePrograms() error {
	programs.Lock()
	defer programs.Unlock()
	programs.made = nil
	return os.RemoveAll(programs.dir)
}
