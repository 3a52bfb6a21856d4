//go:build unix && !linux

package testutil

import "syscall"

// endWithParent does nothing: these systems do not tie a program to its
// parent's life.
func endWithParent(*syscall.SysProcAttr) {}
