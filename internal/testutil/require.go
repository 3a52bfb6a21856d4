package testutil

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// requireEnv names the components whose absence fails a test.
const requireEnv = "CLOVER_TEST_REQUIRE"

// Required reports whether CLOVER_TEST_REQUIRE asks for that component.
func Required(component string) bool {
	value := os.Getenv(requireEnv)
	return slices.ContainsFunc(strings.Split(value, ","), func(name string) bool {
		name = strings.TrimSpace(name)
		return name == "all" || name == component
	})
}

// Missing ends the test because a component is not there: it fails where the
// component is required and skips elsewhere. Use it for what [Require] does
// not know, such as a feature of the kernel.
func Missing(t testing.TB, component, reason string) {
	t.Helper()
	if Required(component) {
		t.Fatalf("%s is required by %s=%s: %s", component, requireEnv, os.Getenv(requireEnv), reason)
	}
	t.Skipf("needs %s: %s", component, reason)
}

// Require returns the path of a component's program and makes it first if
// this machine has not got it; that may take minutes, once. If it cannot be
// made, the test ends as with [Missing].
func Require(t testing.TB, c components.Component) string {
	t.Helper()
	if testing.Short() && !Required(c.Name) {
		t.Skipf("needs %s: left out by -short", c.Name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if end, ok := deadline(t); ok {
		ctx, cancel = context.WithDeadlineCause(t.Context(), end.Add(-5*time.Second),
			fmt.Errorf("the test's time is over; run 'go run ./internal/testutil/install' before it"))
	}
	defer cancel()
	path, err := c.Ensure(ctx, os.Stderr)
	if err != nil {
		Missing(t, c.Name, err.Error())
	}
	return path
}

// Long returns the value of a variable that a make target sets for a test which
// takes too long for every run. Without it the test is skipped, and says which
// target runs it.
func Long(t testing.TB, variable, target string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Skipf("takes long: run it by make %s", target)
	}
	return value
}

// deadline returns when the test binary gives up, for a test that knows.
func deadline(t testing.TB) (time.Time, bool) {
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		return d.Deadline()
	}
	return time.Time{}, false
}
