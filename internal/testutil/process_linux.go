package testutil

import "syscall"

// endWithParent has the kernel end the program when the test process dies.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
