package components

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// sdcRelease is the release of Debian that the sample's real parts come from:
// bookworm has no Suricata.
const sdcRelease = "trixie"

// sdcPackages is what the sample's services run when they run the real thing,
// and what people who look into a pod want to have.
var sdcPackages = []string{
	"suricata", "nginx-light", "libnginx-mod-stream", "redis-server", "ca-certificates", "iproute2", "iputils-ping", "curl", "procps",
}

// SDCRoot is a root file system of Debian with nginx, Suricata and Redis,
// from which images of the sample's pods are made. It is made by
// debootstrap, and nothing in it is installed into the system. The path is
// that of Suricata's program in it.
func SDCRoot() Component {
	return Component{
		Name: "sdc-root", Title: "Debian with nginx, Suricata and Redis", Version: sdcRelease,
		verb: "fetching", cost: "about 1 min", binary: "root/usr/bin/suricata",
		key: func() (string, error) { return textKey(strings.Join(sdcPackages, " ")), nil },
		install: func(ctx context.Context, dir string, log io.Writer) error {
			return debianRoot(ctx, filepath.Join(dir, "root"), sdcRelease, sdcPackages, log)
		},
	}
}

// SDCRootFolder returns the root file system that [SDCRoot] has the path into.
func SDCRootFolder(sdcRoot string) string { return strings.TrimSuffix(sdcRoot, "/usr/bin/suricata") }

// Suricata is the intrusion detection engine of [SDCRoot]. It runs with the
// C library and the other libraries that it was built for, but sees the files
// of this machine: no chroot is needed.
func Suricata() Component {
	return Component{
		Name: "suricata", Title: "Suricata", Version: sdcRelease, verb: "linking", cost: "nothing to fetch", binary: "suricata",
		key:     SDCRoot().key,
		install: installSuricata,
	}
}

func installSuricata(ctx context.Context, dir string, log io.Writer) error {
	program, err := SDCRoot().Ensure(ctx, log)
	if err != nil {
		return err
	}
	root := SDCRootFolder(program)
	loaders, err := filepath.Glob(filepath.Join(root, "usr", "lib", "*-linux-gnu*", "ld-linux-*.so.*"))
	if err != nil {
		return err
	}
	if len(loaders) != 1 {
		return fmt.Errorf("the system in %s has the loaders %q, want one", root, loaders)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s --library-path %s %s \"$@\"\n",
		shellQuote(loaders[0]), shellQuote(filepath.Dir(loaders[0])), shellQuote(program))
	return os.WriteFile(filepath.Join(dir, "suricata"), []byte(script), 0o755)
}

// shellQuote makes one word of a text for sh.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
