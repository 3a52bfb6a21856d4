package components

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"

	"github.com/opnfv/clover/internal/command"
)

// One release of Jaeger has both programs, each with a version of its own.
const (
	jaegerV1Version = "1.76.0"
	jaegerV2Version = "2.13.0"
)

// JaegerV1 is Jaeger's all-in-one program, its first generation.
func JaegerV1() Component {
	return built("jaeger", "Jaeger", jaegerV1Version, "jaegerbin",
		"github.com/jaegertracing/jaeger/cmd/all-in-one")
}

// JaegerV2 is Jaeger's second generation, made on the OpenTelemetry Collector.
func JaegerV2() Component {
	return built("jaeger-v2", "Jaeger", jaegerV2Version, "jaegerbin",
		"github.com/jaegertracing/jaeger/cmd/jaeger")
}

// built is a component compiled from a nested module of internal/testutil,
// whose go.mod and go.sum pin every source.
func built(name, title, version, module, pkg string) Component {
	binary := name
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	return Component{
		Name: name, Title: title, Version: version,
		verb: "building", cost: "about 3 min", binary: binary,
		key: func() (string, error) { return modulesKey(module) },
		install: func(ctx context.Context, dir string, _ io.Writer) error {
			return goBuild(ctx, build{module: module, pkg: pkg, out: filepath.Join(dir, binary)})
		},
	}
}

// build is one program to compile.
type build struct {
	module string // folder below internal/testutil, usually a nested module
	pkg    string
	tags   string            // build tags
	out    string            // file to write
	vars   map[string]string // variables that the linker sets
}

// goBuild compiles a program without cgo, so that it runs in any container.
func goBuild(ctx context.Context, b build) error {
	src, err := nested(b.module)
	if err != nil {
		return err
	}
	ldflags := "-s -w"
	for _, name := range slices.Sorted(maps.Keys(b.vars)) {
		ldflags += " -X " + name + "=" + b.vars[name]
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-buildvcs=false",
		"-trimpath", "-tags", b.tags, "-ldflags", ldflags, "-o", b.out, b.pkg)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	return command.Run(cmd)
}

// modulesKey is short and differs as soon as one of the folders below
// internal/testutil pins anything else or has another source.
func modulesKey(modules ...string) (string, error) {
	h := sha256.New()
	for _, module := range modules {
		dir, err := nested(module)
		if err != nil {
			return "", err
		}
		if err := hashFiles(h, dir, "go.mod", "go.sum", "*.go"); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:10], nil
}

// hashFiles adds the names and contents of the files in dir that match one
// of the patterns.
func hashFiles(h hash.Hash, dir string, patterns ...string) error {
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			// A hash takes everything.
			_, _ = fmt.Fprintf(h, "%s %d\n", filepath.Base(file), len(data))
			h.Write(data)
		}
	}
	return nil
}

// cloverModule matches the first line of this repository's go.mod.
var cloverModule = regexp.MustCompile(`(?m)^module github\.com/opnfv/clover$`)

// nested finds the folder of a nested module of internal/testutil.
func nested(module string) (string, error) {
	root, err := repository()
	return filepath.Join(root, "internal", "testutil", module), err
}

// repository finds the folder of this repository, upwards from the working
// directory, which for a test is its package's folder.
func repository() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && cloverModule.Match(mod) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod of github.com/opnfv/clover in %s or above", wd)
		}
		dir = up
	}
}

// BuildStatic compiles the program in a folder below internal/testutil so
// that it runs on any root file system.
func BuildStatic(ctx context.Context, folder, out string) error {
	return goBuild(ctx, build{module: folder, pkg: ".", out: out})
}
