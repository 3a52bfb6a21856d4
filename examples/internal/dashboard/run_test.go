package dashboard

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// browserLimit bounds what one script does with a browser.
const browserLimit = 3 * time.Minute

// browser is what scripts of web/e2e need to drive a browser.
type browser struct {
	node, chromium, modules string
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	return browser{
		chromium: testutil.Require(t, components.Chromium()),
		node:     testutil.Require(t, components.Node()),
		modules:  components.ModulesFolder(testutil.Require(t, components.BrowserModules())),
	}
}

// run runs the tests of a script. env is added to its environment.
func (b browser) run(t *testing.T, script string, env map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.node, "--test", "--test-reporter=spec", script)
	cmd.Dir = filepath.Join("..", "..", "..", "web", "e2e")
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

// pictures is the folder for pictures of the views: that of make, or one that
// ends with the test.
func pictures(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("CLOVER_PICTURES"); dir != "" {
		return dir
	}
	return t.TempDir()
}
