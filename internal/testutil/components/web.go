package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// NPM runs a script of the package.json in a copy of the folder web, with
// [Node] and [WebModules], which are linked into it unless it has a
// node_modules of its own.
func NPM(ctx context.Context, web, script string, out io.Writer) error {
	node, err := Node().Ensure(ctx, out)
	if err != nil {
		return err
	}
	modules, err := WebModules().Ensure(ctx, out)
	if err != nil {
		return err
	}
	link := filepath.Join(web, "node_modules")
	if info, err := os.Lstat(link); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		// It may be that of another package-lock.json.
		if err := os.Remove(link); err != nil {
			return err
		}
	}
	if err := os.Symlink(ModulesFolder(modules), link); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	cmd := exec.CommandContext(ctx, node, npmOf(node), "run", script, "--no-update-notifier")
	cmd.Dir, cmd.Env = web, NodeEnv(node)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm run %s: %w", script, err)
	}
	return nil
}
