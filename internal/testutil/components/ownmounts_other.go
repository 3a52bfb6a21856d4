//go:build !linux

package components

import "os/exec"

// ownMounts does nothing: only Linux has namespaces of mounts.
func ownMounts(*exec.Cmd) {}
