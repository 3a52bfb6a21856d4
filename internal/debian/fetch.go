package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Fetch unpacks a package of the system's release into dir, without what it
// depends on. If the system has no package lists, they are fetched into a
// folder of our own.
func Fetch(ctx context.Context, dir, pkg string, p Progress) error {
	work, done, err := workFolder()
	if err != nil {
		return err
	}
	defer done()
	direct := download(ctx, work, nil, pkg, dir)
	if direct == nil {
		return nil
	}
	p.say("fetching Debian's package lists ...")
	own, err := ownLists(work)
	if err != nil {
		return err
	}
	if err := apt(ctx, work, slices.Concat(own, []string{"update"})...); err != nil {
		return errors.Join(direct, err)
	}
	if err := download(ctx, work, own, pkg, dir); err != nil {
		return errors.Join(direct, err)
	}
	return nil
}

// FetchFrom unpacks packages of another release of Debian into dir, without
// what they depend on, from where the system's come from.
func FetchFrom(ctx context.Context, release, dir string, pkgs []string, p Progress) error {
	work, done, err := workFolder()
	if err != nil {
		return err
	}
	defer done()
	opts, err := updatedRelease(ctx, work, release, nil, p)
	if err != nil {
		return err
	}
	for _, pkg := range pkgs {
		if err := download(ctx, work, opts, pkg, dir); err != nil {
			return err
		}
	}
	return nil
}

// FetchDependency unpacks a package of another release and architecture into
// dir: the one that pkg depends on and whose name begins with prefix.
func FetchDependency(ctx context.Context, release, arch, dir, pkg, prefix string, p Progress) error {
	work, done, err := workFolder()
	if err != nil {
		return err
	}
	defer done()
	opts, err := updatedRelease(ctx, work, release, []string{"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch}, p)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "apt-cache", slices.Concat(opts, []string{"depends", pkg})...).Output()
	if err != nil {
		return fmt.Errorf("apt-cache depends: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if name, _, _ = strings.Cut(name, ":"); ok && strings.HasPrefix(name, prefix) {
			return download(ctx, work, opts, name, dir)
		}
	}
	return fmt.Errorf("%s of Debian's %s depends on no %s: %q", pkg, release, prefix, out)
}

// FetchMissing unpacks a package of the system's release into dir, and all
// that it depends on and that the system has not got.
func FetchMissing(ctx context.Context, dir, pkg string, p Progress) error {
	work, done, err := workFolder()
	if err != nil {
		return err
	}
	defer done()
	own, err := ownLists(work)
	if err != nil {
		return err
	}
	archives := filepath.Join(work, "cache", "archives")
	fetch := []string{
		"--yes", "--no-install-recommends", "--download-only",
		"-o", "Debug::NoLocking=1", "-o", "Dir::Cache::archives=" + archives, "install", pkg,
	}
	if direct := apt(ctx, work, fetch...); direct != nil {
		p.say("fetching Debian's package lists ...")
		for _, args := range [][]string{{"update"}, fetch} {
			if err := apt(ctx, work, slices.Concat(own, args)...); err != nil {
				return errors.Join(direct, err)
			}
		}
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := extract(ctx, deb, dir); err != nil {
			return err
		}
	}
	return nil
}

// updatedRelease is otherRelease with lists that are fetched, and with more
// options.
func updatedRelease(ctx context.Context, work, release string, more []string, p Progress) ([]string, error) {
	opts, err := otherRelease(ctx, work, release)
	if errors.Is(err, errNoLists) && os.Geteuid() == 0 {
		p.say("fetching the system's package lists ...")
		if err := apt(ctx, work, "update"); err != nil {
			return nil, err
		}
		opts, err = otherRelease(ctx, work, release)
	}
	if err != nil {
		return nil, err
	}
	opts = append(opts, more...)
	p.say("fetching the package lists of Debian's %s ...", release)
	return opts, apt(ctx, work, slices.Concat(opts, []string{"update"})...)
}

// ownLists makes folders for apt's state below work and returns the options
// that make apt use them.
func ownLists(work string) ([]string, error) {
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(work, filepath.FromSlash(dir)), 0o755); err != nil {
			return nil, err
		}
	}
	return []string{
		"-o", "Dir::State::lists=" + filepath.Join(work, "lists"), "-o", "Dir::Cache=" + filepath.Join(work, "cache"),
	}, nil
}

// errNoLists: a system as it was installed has none yet.
var errNoLists = errors.New("apt has no lists of Debian's packages; run apt-get update")

// otherRelease returns the options that make apt use package lists of their
// own, below work, for another release.
func otherRelease(ctx context.Context, work, release string) ([]string, error) {
	opts, err := ownLists(work)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		uri, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian ")
		if !ok {
			continue
		}
		list := filepath.Join(work, "other.list")
		text := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", uri, release)
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return append(opts, "-o", "Dir::Etc::sourcelist="+list, "-o", "Dir::Etc::sourceparts=-"), nil
	}
	return nil, errNoLists
}

// FetchAll unpacks a package for an architecture, and all that it depends on,
// each into a folder of its own in dir. It takes nothing for installed.
func FetchAll(ctx context.Context, dir, pkg, arch string) error {
	work, done, err := workFolder()
	if err != nil {
		return fmt.Errorf("package %s of Debian: %w", pkg, err)
	}
	defer done()
	own, err := emptySystem(work, arch)
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"update"}, {"install", "--yes", "--no-install-recommends", "--download-only", pkg}} {
		if err := apt(ctx, work, slices.Concat(own, args)...); err != nil {
			return fmt.Errorf("package %s of Debian for %s: %w", pkg, arch, err)
		}
	}
	debs, err := filepath.Glob(filepath.Join(work, "cache", "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		name, _, _ := strings.Cut(filepath.Base(deb), "_")
		if err := extract(ctx, deb, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// emptySystem returns the options by which apt works for an architecture with
// folders below work, and takes nothing for installed.
func emptySystem(work, arch string) ([]string, error) {
	own, err := ownLists(work)
	if err != nil {
		return nil, err
	}
	status, config := filepath.Join(work, "status"), filepath.Join(work, "apt.conf")
	// A list of the command line would be added to that of the system.
	lists := fmt.Sprintf("#clear APT::Architectures;\nAPT::Architectures {\"%s\";};\n", arch)
	if err := errors.Join(os.WriteFile(status, nil, 0o644), os.WriteFile(config, []byte(lists), 0o644)); err != nil {
		return nil, err
	}
	return append(own, "-c", config, "-o", "Dir::State="+work, "-o", "Dir::State::status="+status,
		"-o", "APT::Architecture="+arch, "-o", "Acquire::Languages=none"), nil
}
