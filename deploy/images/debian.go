package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoApt says that this system cannot fetch Debian packages.
var ErrNoApt = errors.New("needs apt-get and dpkg-deb, as Debian and its descendants have them")

// aptFolders are the folders that apt-get needs to work apart from the
// system.
var aptFolders = []string{"state/lists/partial", "cache/archives/partial"}

// fetchDebian downloads a package and all that it depends on for an
// architecture, from the sources that the system is set up for, and unpacks
// each into a folder of its own in dir. apt checks the signatures. The system is not changed, and
// no root is needed.
func fetchDebian(ctx context.Context, arch, pkg, dir string) error {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("images: Debian package %s: %w", pkg, ErrNoApt)
		}
	}
	work, err := os.MkdirTemp("", "clover-debian-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	conf, err := aptConf(work, arch)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"update"},
		{"install", "--yes", "--no-install-recommends", "--download-only", pkg},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
		cmd.Env = append(os.Environ(), "APT_CONFIG="+conf, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
		if err := run(cmd); err != nil {
			return fmt.Errorf("images: Debian package %s for %s: %w", pkg, arch, err)
		}
	}
	debs, err := filepath.Glob(filepath.Join(work, "cache", "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		name, _, _ := strings.Cut(filepath.Base(deb), "_")
		if err := run(exec.CommandContext(ctx, "dpkg-deb", "--extract", deb, filepath.Join(dir, name))); err != nil {
			return fmt.Errorf("images: %w", err)
		}
	}
	return nil
}

// aptConf writes a configuration by which apt-get uses folders below work and
// takes nothing for installed.
func aptConf(work, arch string) (string, error) {
	for _, dir := range aptFolders {
		if err := os.MkdirAll(filepath.Join(work, filepath.FromSlash(dir)), 0o755); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(work, "status"), nil, 0o644); err != nil {
		return "", err
	}
	conf := fmt.Sprintf(`Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
APT::Architecture "%[2]s";
APT::Architectures {"%[2]s";};
Acquire::Languages "none";
Acquire::Retries "2";
`, work, arch)
	if os.Geteuid() == 0 {
		conf += "APT::Sandbox::User \"root\";\n"
	}
	name := filepath.Join(work, "apt.conf")
	return name, os.WriteFile(name, []byte(conf), 0o644)
}

// addLicences adds what the packages that files come from, each unpacked into
// one of the roots, say of their licences.
func addLicences(files map[string]File, roots []string) error {
	used := map[string]bool{}
	for _, f := range files {
		for _, root := range roots {
			if strings.HasPrefix(f.Source, root+string(filepath.Separator)) {
				used[root] = true
			}
		}
	}
	for root := range used {
		found, err := filepath.Glob(filepath.Join(root, "usr", "share", "doc", "*", "copyright"))
		if err != nil {
			return err
		}
		for _, f := range found {
			files[filepath.ToSlash(strings.TrimPrefix(f, root))] = File{Source: f, Mode: 0o644}
		}
	}
	return nil
}

// run runs a command and puts the end of what it printed into the error.
func run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		const keep = 2000
		text := strings.TrimSpace(out.String())
		if len(text) > keep {
			text = "... " + text[len(text)-keep:]
		}
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, text)
	}
	return nil
}
