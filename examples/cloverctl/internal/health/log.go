package health

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// lastLines is how much of a log an error shows.
const lastLines = 5

// LastLines returns the end of what the pod's container has printed before it
// ended; "" if that is not to be had.
func LastLines(ctx context.Context, c *kube.Cluster, namespace, pod string) string {
	tail, limit := int64(lastLines), int64(4096)
	raw, err := c.Typed().CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
		Previous: true, TailLines: &tail, LimitBytes: &limit,
	}).DoRaw(ctx)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}
