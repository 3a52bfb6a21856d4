package testutil

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opnfv/clover/internal/testutil/components"
)

// JMeter returns the home folder of Apache JMeter, whose program is
// bin/jmeter, and sees to it that there is a Java to run it.
func JMeter(t testing.TB) string {
	t.Helper()
	path := Require(t, components.JMeter())
	if err := components.EnsureJava(t.Context(), os.Stderr); err != nil {
		Missing(t, components.JMeter().Name, err.Error())
	}
	return filepath.Dir(filepath.Dir(path))
}
