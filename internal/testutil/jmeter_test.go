package testutil_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
)

func TestJMeterSaysItsVersion(t *testing.T) {
	home := testutil.JMeter(t)
	out, err := exec.CommandContext(t.Context(), filepath.Join(home, "bin", "jmeter"), "--version", "-j", filepath.Join(t.TempDir(), "log")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "5.6.3") {
		t.Fatalf("%v\n%s", err, out)
	}
}
