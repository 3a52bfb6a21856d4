package dashboard

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/web"
)

// source is the folder with the dashboard's source.
var source = filepath.Join("..", "..", "..", "web")

// copySource copies the source, without what is made of it.
func copySource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	check(t, filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		if slices.Contains([]string{"dist", "e2e", "node_modules"}, name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil // a link
		}
		to := filepath.Join(dir, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	}))
	return dir
}

// TestTheFilesAreBuiltFromTheirSource builds the dashboard and compares it,
// byte by byte, with what is committed.
func TestTheFilesAreBuiltFromTheirSource(t *testing.T) {
	testutil.Require(t, components.Node())
	testutil.Require(t, components.WebModules())
	dir := copySource(t)
	var out bytes.Buffer
	for _, script := range []string{"build", "test"} {
		if err := components.NPM(t.Context(), dir, script, &out); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
	}
	built, committed := filesOf(t, os.DirFS(filepath.Join(dir, "dist"))), filesOf(t, web.Assets)
	for name, data := range built {
		if !bytes.Equal(committed[name], data) {
			t.Errorf("%s differs from its source", name)
		}
	}
	for name := range committed {
		if built[name] == nil {
			t.Errorf("%s is not built from the source", name)
		}
	}
	if t.Failed() {
		t.Error("run 'make web' and commit web/dist")
	}
}

func filesOf(t *testing.T, files fs.FS) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	check(t, fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		m[path], err = fs.ReadFile(files, path)
		return err
	}))
	return m
}

// Bounds of the scripts, compressed.
const (
	maxFirstBytes = 150 << 10
	maxAllBytes   = 400 << 10
)

var (
	entry  = regexp.MustCompile(`<script type="module"[^>]* src="\./([^"]+)"`)
	static = regexp.MustCompile(`(?:^|[;}])(?:import|export)[^;"'()]*?["']\./([^"']+\.js)["']`)
)

// TestTheScriptsAreSmall holds how much has to come before the first view, and
// in all.
func TestTheScriptsAreSmall(t *testing.T) {
	files := filesOf(t, web.Assets)
	m := entry.FindSubmatch(files["index.html"])
	if m == nil {
		t.Fatalf("index.html has no script: %s", files["index.html"])
	}
	first, all := map[string]bool{}, 0
	var follow func(name string)
	follow = func(name string) {
		if first[name] || files[name] == nil {
			return
		}
		first[name] = true
		for _, m := range static.FindAllSubmatch(files[name], -1) {
			follow("assets/" + string(m[1]))
		}
	}
	follow(string(m[1]))
	atFirst := 0
	for name, data := range files {
		if strings.HasSuffix(name, ".js") {
			n := zipped(t, data)
			all += n
			if first[name] {
				atFirst += n
			}
		}
	}
	t.Logf("%d bytes before the first view, %d in all, compressed", atFirst, all)
	if atFirst > maxFirstBytes || all > maxAllBytes {
		t.Errorf("%d and %d bytes, want at most %d and %d", atFirst, all, maxFirstBytes, maxAllBytes)
	}
}

func zipped(t *testing.T, data []byte) int {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	check(t, err)
	_, err = w.Write(data)
	check(t, err)
	check(t, w.Close())
	return out.Len()
}
