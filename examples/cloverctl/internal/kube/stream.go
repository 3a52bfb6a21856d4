package kube

import (
	"context"
	"net"

	"github.com/opnfv/clover/internal/podtunnel"
)

// DialPod connects to a port of a pod through the API server.
func (c *Cluster) DialPod(ctx context.Context, namespace, pod string, port int32) (net.Conn, error) {
	return podtunnel.Dial(ctx, c.config, c.typed.CoreV1().RESTClient(), namespace, pod, int(port))
}
