package components

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/command"
)

// place makes room for a file of the node and returns its path. Debian's
// file of that name is not overwritten, because the cache has it too.
func (n node) place(name string) (string, error) {
	path := filepath.Join(n.tree, filepath.FromSlash(name))
	if err := os.RemoveAll(path); err != nil {
		return "", err
	}
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}

// write adds a file to the node.
func (n node) write(name string, data []byte, mode fs.FileMode) error {
	path, err := n.place(name)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, mode)
}

// copy adds a program to the node.
func (n node) copy(from, name string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return n.write(name, data, 0o755)
}

// link adds a symbolic link to the node.
func (n node) link(target, name string) error {
	path, err := n.place(name)
	if err != nil {
		return err
	}
	return os.Symlink(target, path)
}

// edit changes a file of the node line by line; a line is dropped if edit
// returns false.
func (n node) edit(name string, edit func(line string) (string, bool)) error {
	path := filepath.Join(n.tree, filepath.FromSlash(name))
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		line, end := strings.TrimSuffix(line, "\n"), "\n"
		if line, keep := edit(line); keep {
			b.WriteString(line + end)
		}
	}
	return n.write(name, []byte(b.String()), 0o644)
}

// moduleFolder returns the folder of a module's sources that the nested
// module requires, and fetches them first if need be.
func moduleFolder(ctx context.Context, nestedModule, module string) (string, error) {
	dir, err := nested(nestedModule)
	if err != nil {
		return "", err
	}
	env := append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	fetch := exec.CommandContext(ctx, "go", "mod", "download", module)
	fetch.Dir, fetch.Env = dir, env
	if err := command.Run(fetch); err != nil {
		return "", err
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Dir, list.Env = dir, env
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find the sources of %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
