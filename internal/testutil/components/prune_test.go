package components

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPrune fills a cache with versions of different ages.
func TestPrune(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("CLOVER_CACHE", cache)
	here := "-" + runtime.GOOS + "-" + runtime.GOARCH
	current, err := JaegerV2().folder()
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	for name, age := range map[string]time.Duration{
		"jaeger-1.0.0-abc" + here:       40 * day,
		"jaeger-1.1.0-abc" + here:       20 * day, // used by another branch
		"jaeger-1.2.0-abc" + here:       40 * day, // locked
		"jaeger-1.3.0-abc-plan9-mips":   40 * day, // of another machine that shares the cache
		"jaeger-v2-1.0.0-abc" + here:    40 * day,
		filepath.Base(current):          40 * day,
		"clusters":                      40 * day,
		"something-else-1.0-abc" + here: 40 * day,
	} {
		dir := filepath.Join(cache, name)
		if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
	}
	unlock, ok, err := Lock(filepath.Join(cache, "jaeger-1.2.0-abc"+here+".lock"))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer unlock()
	left := func() (folders []string) {
		entries, err := os.ReadDir(cache)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				folders = append(folders, strings.TrimSuffix(e.Name(), here))
			}
		}
		return folders
	}

	// A new version removes the old ones of its own component only.
	fresh := Component{
		Name: "jaeger", Title: "Jaeger", Version: "9.9", verb: "making", cost: "nothing", binary: "jaeger",
		install: func(_ context.Context, dir string, _ io.Writer) error {
			return os.WriteFile(filepath.Join(dir, "jaeger"), nil, 0o600)
		},
	}
	var progress bytes.Buffer
	if _, err := fresh.Ensure(t.Context(), &progress); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"clusters", "jaeger-1.1.0-abc", "jaeger-1.2.0-abc", "jaeger-1.3.0-abc-plan9-mips", "jaeger-9.9",
		"jaeger-v2-1.0.0-abc", strings.TrimSuffix(filepath.Base(current), here), "something-else-1.0-abc",
	}
	slices.Sort(want)
	if got := left(); !slices.Equal(got, want) || !strings.Contains(progress.String(), "removed jaeger-1.0.0-abc") {
		t.Errorf("left %v, want %v\n%s", got, want, &progress)
	}
	if err := Prune(KeepUnused, io.Discard); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(name string) bool { return name == "jaeger-v2-1.0.0-abc" })
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
}

// TestUseIsNoted holds that what is used does not count as unused.
func TestUseIsNoted(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("CLOVER_CACHE", cache)
	c := Component{Name: "jaeger", Version: "9.9", binary: "jaeger", install: func(_ context.Context, dir string, _ io.Writer) error {
		return os.WriteFile(filepath.Join(dir, "jaeger"), nil, 0o600)
	}}
	path, err := c.Ensure(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-2 * KeepUnused)
	if err := os.Chtimes(filepath.Dir(path), then, then); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ensure(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := Prune(KeepUnused, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("what was used just now is gone: %v", err)
	}
}
