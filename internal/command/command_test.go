package command_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/command"
)

func TestRun(t *testing.T) {
	if err := command.Run(exec.CommandContext(t.Context(), "go", "version")); err != nil {
		t.Error(err)
	}
	err := command.Run(exec.CommandContext(t.Context(), "go", strings.Repeat("x", 5000)))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.HasPrefix(err.Error(), "go") || !strings.Contains(err.Error(), "... xxx") || len(err.Error()) > 2200 {
		t.Errorf("a command that fails: %v", err)
	}
	if err := command.Run(exec.CommandContext(t.Context(), "there-is-no-such-program")); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("no program: %v", err)
	}
}
