// Package browser runs the scripts of web/e2e, which drive a real Chromium.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// limit bounds what one script does with a browser.
const limit = 8 * time.Minute

// Browser is what a script needs to drive a browser.
type Browser struct {
	repository              string
	node, chromium, modules string
}

// New returns a browser. repository is the folder of the repository's root.
func New(t testing.TB, repository string) *Browser {
	t.Helper()
	return &Browser{
		repository: repository,
		chromium:   testutil.Require(t, components.Chromium()),
		node:       testutil.Require(t, components.Node()),
		modules:    components.ModulesFolder(testutil.Require(t, components.BrowserModules())),
	}
}

// Run runs the tests of a script. env is added to its environment.
func (b *Browser) Run(t testing.TB, script string, env map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.node, "--test", "--test-reporter=spec", script)
	cmd.Dir = filepath.Join(b.repository, "web", "e2e")
	cmd.Env = append(components.NodeEnv(b.node), "CLOVER_CHROMIUM="+b.chromium, "CLOVER_MODULES="+b.modules, "NO_COLOR=1")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s took %v\n%s", script, time.Since(began).Round(time.Millisecond), out)
}

// runIn has the browser run by a command that runs another.
func (b *Browser) runIn(t testing.TB, command []string) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "chromium")
	text := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", strings.Join(command, " "), b.chromium)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	b.chromium = script
}
