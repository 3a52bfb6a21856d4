package components

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// KeepUnused is how long a version of a component that is no longer the
// current one stays in the cache after it was used last. Another branch of the
// repository may still want it.
const KeepUnused = 30 * 24 * time.Hour

// Prune removes the versions of components that are not the current ones and
// that nobody has used for as long as unused says. A version that is being
// made is left alone. It says what it removes.
func Prune(unused time.Duration, progress io.Writer) error {
	return prune(func(Component) bool { return true }, unused, progress)
}

// prune is Prune for some components.
func prune(of func(Component) bool, unused time.Duration, progress io.Writer) error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(cache)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	current := map[string]bool{}
	for _, c := range All() {
		home, err := c.folder()
		if err != nil {
			return err
		}
		current[filepath.Base(home)] = true
	}
	for _, e := range entries {
		owner := ownerOf(e.Name())
		if !e.IsDir() || current[e.Name()] || owner == nil || !of(*owner) {
			continue
		}
		if err := removeUnused(filepath.Join(cache, e.Name()), unused, progress); err != nil {
			return err
		}
	}
	return nil
}

// ownerOf returns the component whose version a folder of the cache is: that
// of the longest name, as jaeger-v2 is none of jaeger's. nil: none.
func ownerOf(folder string) (owner *Component) {
	if !strings.HasSuffix(folder, "-"+runtime.GOOS+"-"+runtime.GOARCH) {
		return nil
	}
	for _, c := range All() {
		if strings.HasPrefix(folder, c.Name+"-") && (owner == nil || len(c.Name) > len(owner.Name)) {
			owner = &c
		}
	}
	return owner
}

// removeUnused removes a folder that was not used for so long and that
// nobody has locked.
func removeUnused(home string, unused time.Duration, progress io.Writer) error {
	unlock, ok, err := Lock(home + ".lock")
	if err != nil || !ok {
		return err
	}
	defer unlock()
	info, err := os.Stat(home)
	if os.IsNotExist(err) || err == nil && time.Since(info.ModTime()) < unused {
		return nil
	}
	if err != nil {
		return err
	}
	// What is left by a run that is cut off is what make removes.
	work := home + ".part"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.Rename(home, work); err != nil {
		return err
	}
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	say(progress, "removed %s, which was last used on %s", filepath.Base(home), info.ModTime().Format(time.DateOnly))
	return nil
}

// used notes on a component's folder that it is used now. A cache that cannot
// be written to is not pruned either.
func used(home string) {
	now := time.Now()
	_ = os.Chtimes(home, now, now)
}
