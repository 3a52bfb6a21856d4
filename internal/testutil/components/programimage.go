package components

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/imagetar"
)

// programUser is the user that a program's image runs as.
const programUser = "65532:65532"

// ProgramImage writes an image of one program in the form of "docker save".
// What a program is linked with comes from the Debian of [NodeRoot].
func ProgramImage(ctx context.Context, out, tag, program string) error {
	name := "/usr/local/bin/" + path.Base(program)
	files := imageFiles{name: {Source: program, Mode: 0o755}}
	linked, err := isLinked(program)
	if err != nil {
		return err
	}
	if linked {
		dockerd, err := NodeRoot().Ensure(ctx, io.Discard)
		if err != nil {
			return err
		}
		root := node{root: strings.TrimSuffix(dockerd, "/usr/sbin/dockerd")}
		libs, err := root.linkedWith(ctx, program)
		if err != nil {
			return err
		}
		maps.Copy(files, libs)
		for _, dir := range []string{"lib", "lib64"} {
			files["/"+dir] = imagetar.File{Link: "usr/" + dir}
		}
	}
	return writeImages(out, map[string]imageConfig{tag: {Entrypoint: []string{name}, User: programUser}}, files)
}

// isLinked reports whether a program needs shared libraries.
func isLinked(program string) (bool, error) {
	file, err := elf.Open(program)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	libs, err := file.ImportedLibraries()
	return len(libs) > 0, err
}

// linkedWith returns the loader and the shared libraries that a program of
// this machine names, from the Debian root. What these need in turn is not
// looked for: it is the C library and its parts.
func (n node) linkedWith(ctx context.Context, program string) (imageFiles, error) {
	file, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	names, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	if section := file.Section(".interp"); section != nil {
		loader, err := section.Data()
		if err != nil {
			return nil, err
		}
		names = append(names, path.Base(strings.TrimRight(string(loader), "\x00")))
	}
	seen := map[string]bool{}
	var paths []string
	for _, name := range names {
		found := n.library(name)
		if found == "" {
			return nil, fmt.Errorf("%s, which %s needs, is not in %s", name, path.Base(program), n.root)
		}
		if !seen[found] {
			seen[found] = true
			paths = append(paths, found)
		}
	}
	return n.fromRoot(ctx, paths)
}

// library finds a shared library in the Debian root.
func (n node) library(name string) string {
	for _, pattern := range []string{"usr/lib64/", "usr/lib/", "usr/lib/*/"} {
		// The pattern is well formed.
		found, _ := filepath.Glob(filepath.Join(n.root, pattern, name))
		if len(found) > 0 {
			return strings.TrimPrefix(found[0], n.root+"/")
		}
	}
	return ""
}
