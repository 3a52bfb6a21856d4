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

// chromiumPackages are what is fetched also where the system has it: the
// browser, its data, and a font, so that pages look the same everywhere.
var chromiumPackages = []string{"chromium-headless-shell", "chromium-common", "fonts-dejavu-core"}

// Chromium is the browser Chromium without a window: Debian's packages,
// unpacked into the cache without being installed, or, on systems without
// apt, the browser on the path.
func Chromium() Component {
	c := Component{
		Name: "chromium", Title: "Chromium", Version: debian.Release(), verb: "fetching", cost: "90 MB", binary: "run-chromium",
		key:     func() (string, error) { return textKey(chromiumFonts + chromiumScript), nil },
		install: installChromium,
	}
	if c.Version == "" {
		c.Version, c.verb, c.cost, c.install = "system", "looking for", "nothing to fetch", linkChromium
	}
	return c
}

// chromiumFonts is the configuration of fontconfig, which knows the fonts of
// the system's folders only.
const chromiumFonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
`

// chromiumScript runs the browser with the libraries that were fetched beside
// those of the system. The folder gets its name when it is whole.
const chromiumScript = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/usr/lib/%[1]s:$here/lib/%[1]s:$here/usr/lib/%[1]s/pulseaudio" FONTCONFIG_FILE="$here/fonts.conf" XDG_CACHE_HOME="$here/cache" \
	exec "$here/usr/lib/chromium/chromium-headless-shell" "$@"
`

func installChromium(ctx context.Context, dir string, log io.Writer) error {
	if err := debian.FetchMissing(ctx, dir, chromiumPackages[0], progress(log)); err != nil {
		return err
	}
	for _, pkg := range chromiumPackages {
		if err := debian.Fetch(ctx, dir, pkg, progress(log)); err != nil {
			return err
		}
	}
	// There is none of them where the system has every library.
	libraries, err := filepath.Glob(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return err
	}
	arch := "none"
	if len(libraries) > 0 {
		arch = filepath.Base(libraries[0])
	}
	if err := os.WriteFile(filepath.Join(dir, "fonts.conf"), []byte(chromiumFonts), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "run-chromium"), fmt.Appendf(nil, chromiumScript, arch), 0o600)
}

func linkChromium(_ context.Context, dir string, _ io.Writer) error {
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return os.WriteFile(filepath.Join(dir, "run-chromium"), []byte("#!/bin/sh\nexec "+shellQuote(path)+` "$@"`+"\n"), 0o600)
		}
	}
	return fmt.Errorf("there is no apt to fetch it with; install Chromium so that chromium is on the path: %w", exec.ErrNotFound)
}
