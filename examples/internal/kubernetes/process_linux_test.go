package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"github.com/opnfv/clover/internal/testutil"
)

// process finds the process of a pod's only container on this machine, where
// the node is a container itself.
func (k *kit) process(p *corev1.Pod) int {
	k.Helper()
	if len(p.Status.ContainerStatuses) != 1 {
		k.Fatalf("pod %s has %d containers", p.Name, len(p.Status.ContainerStatuses))
	}
	_, id, _ := strings.Cut(p.Status.ContainerStatuses[0].ContainerID, "://")
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	k.check(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || id == "" || !strings.Contains(string(text), id) {
			continue // it has ended, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		k.check(err)
		return pid
	}
	testutil.Missing(k, "kubernetes", fmt.Sprintf("the container of pod %s is not on this machine", p.Name))
	return 0
}

// kill ends a pod's process as a crash does.
func (k *kit) kill(p *corev1.Pod) {
	k.Helper()
	k.check(syscall.Kill(k.process(p), syscall.SIGKILL))
}

// resident is the memory of a pod's process in MiB.
func (k *kit) resident(p *corev1.Pod) int {
	k.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.process(p)))
	k.check(err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			k.check(err)
			return kib / 1024
		}
	}
	k.Fatalf("no memory of pod %s", p.Name)
	return 0
}
