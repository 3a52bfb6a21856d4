package images

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// multiarch names Debian's folder of libraries for an architecture.
var multiarch = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

// WithLibraries returns programs, by their paths, and all shared libraries
// that they name. Both are taken from the first of the roots, folders that
// each hold a file system or a part of one, that has them.
func WithLibraries(arch string, programs, roots []string) (map[string]File, error) {
	files := map[string]File{}
	return files, addLibraries(files, arch, programs, nil, roots)
}

// addLibraries adds programs and libraries to files, and the shared libraries
// that these and all files that are there already name.
func addLibraries(files map[string]File, arch string, programs, libraries, roots []string) error {
	dir, ok := multiarch[arch]
	if !ok {
		return fmt.Errorf("images: architecture %q is not known", arch)
	}
	c := closure{roots: roots, files: files, own: map[string]bool{}, folders: []string{
		"/lib/" + dir, "/usr/lib/" + dir, "/lib64", "/usr/lib64", "/lib", "/usr/lib",
	}}
	there := slices.Sorted(maps.Keys(files))
	for _, name := range there {
		c.own[path.Base(name)] = true
	}
	for _, name := range there {
		if isELF(files[name].Source) {
			if err := c.addLinked(name, files[name].Source); err != nil {
				return err
			}
		}
	}
	for _, p := range programs {
		if err := c.add(p); err != nil {
			return err
		}
	}
	for _, lib := range libraries {
		if err := c.addLibrary(lib); err != nil {
			return err
		}
	}
	return nil
}

// isELF reports whether a file is a program or a library.
func isELF(source string) bool {
	if source == "" {
		return false
	}
	file, err := elf.Open(source)
	if err != nil {
		return false
	}
	_ = file.Close()
	return true
}

// closure gathers programs and what they are linked with.
type closure struct {
	roots   []string
	folders []string
	files   map[string]File
	own     map[string]bool // names of files that were there before
}

// add takes the file of that path in the image, the target if it is a link,
// the interpreter and the libraries that it names.
func (c *closure) add(name string) error {
	if _, ok := c.files[name]; ok {
		return nil
	}
	source, err := c.find(name)
	if err != nil {
		return err
	}
	c.files[name] = File{Source: source, Mode: 0o755}
	return c.addLinked(name, source)
}

// addLinked takes what a program or library needs.
func (c *closure) addLinked(name, source string) error {
	file, err := elf.Open(source)
	if err != nil {
		return fmt.Errorf("images: %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	if interp := interpreter(file); interp != "" {
		if err := c.add(interp); err != nil {
			return err
		}
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("images: libraries of %s: %w", name, err)
	}
	for _, lib := range libraries {
		if err := c.addLibrary(lib); err != nil {
			return fmt.Errorf("%w (named by %s)", err, name)
		}
	}
	return nil
}

func (c *closure) addLibrary(lib string) error {
	if c.own[lib] {
		return nil
	}
	for _, dir := range c.folders {
		name := path.Join(dir, lib)
		if _, err := c.find(name); err == nil {
			return c.add(name)
		}
	}
	return fmt.Errorf("images: library %s is in none of %s", lib, strings.Join(c.roots, ", "))
}

// find returns the file behind a path of the image. A path outside of /usr may
// be there below /usr only: systems that have merged both keep the link from
// one to the other in a package of its own.
func (c *closure) find(name string) (string, error) {
	for _, name := range []string{name, "/usr" + name} {
		source, err := c.resolve(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return source, err
		}
	}
	return "", fmt.Errorf("images: %s is in none of %s: %w", name, strings.Join(c.roots, ", "), fs.ErrNotExist)
}

// resolve follows the links in name, as if the roots were laid over each
// other.
func (c *closure) resolve(name string) (string, error) {
	const maxLinks = 40
	rest, at, links := strings.Split(strings.Trim(name, "/"), "/"), "/", 0
	var source string
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		var info fs.FileInfo
		var err error
		if source, info, err = c.stat(next); err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("images: %s: too many links", name)
		}
		target, err := os.Readlink(source)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return source, nil
}

// stat finds a path in the first root that has it.
func (c *closure) stat(name string) (string, fs.FileInfo, error) {
	for _, root := range c.roots {
		source := filepath.Join(root, filepath.FromSlash(name))
		info, err := os.Lstat(source)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return source, info, err
		}
	}
	return "", nil, fs.ErrNotExist
}

// interpreter is the dynamic linker that a program asks for.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err == nil {
			return strings.TrimRight(string(data), "\x00")
		}
	}
	return ""
}
