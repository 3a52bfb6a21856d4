package testutil

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: process groups are Unix's.
func ownGroup(*exec.Cmd) {}

// signalGroup ends the process at once; Windows knows no other way.
func signalGroup(p *os.Process, _ bool) error { return p.Kill() }
