// Package command runs programs whose output matters only when they fail.
package command

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// keptOutput bounds what an error has of the output, in bytes.
const keptOutput = 2000

// Run runs a command and puts the end of what it printed into the error. A
// program that is not there is exec.ErrNotFound.
func Run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrNotFound) {
		return err
	}
	text := strings.TrimSpace(out.String())
	if len(text) > keptOutput {
		text = "... " + text[len(text)-keptOutput:]
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, text)
}
