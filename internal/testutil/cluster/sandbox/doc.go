// Package sandbox runs a Docker daemon that leaves nothing behind: it lives
// in mount, process and network namespaces of its own, on a Debian root file
// system of its own, and reaches the machine by one pair of virtual
// interfaces. When the first process of the namespaces ends, the kernel ends
// every process, mount, interface and packet filter rule in them; what is
// left is a folder and some empty control groups, which [Clean] removes.
//
// It needs root on Linux, but no installed Docker and no capability that a
// container's root lacks: where CAP_SYS_RESOURCE is missing, containers are
// made without what would need it, and privileged ones get the capabilities that
// Debian's Docker does not know (see [Runc]).
package sandbox
