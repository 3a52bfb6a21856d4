package testutil

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// WASM builds a Go package as a WebAssembly module of WASI, as plug-ins of
// Clovisor are built, and returns its file. dir is the package's folder.
func WASM(t testing.TB, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(dir)+".wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-o", file, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s for WASI: %v\n%s", dir, err, out)
	}
	return file
}
