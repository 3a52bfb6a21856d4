package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// existing uses the cluster of a kubeconfig. If it was made here, images can
// be loaded into it.
func existing(ctx context.Context, kubeconfig string) (*Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("KUBECONFIG: %w", err)
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("KUBECONFIG: %w", err)
	}
	defer utilnet.CloseIdleConnectionsFor(transport.Transport)
	client, err := kubernetes.NewForConfigAndClient(config, transport)
	if err != nil {
		return nil, fmt.Errorf("KUBECONFIG: %w", err)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("the cluster of KUBECONFIG=%s does not answer: %w", kubeconfig, err)
	}
	c := &Cluster{kubeconfig: kubeconfig, nodeAddress: nodeAddress(nodes.Items)}
	if c.nodeAddress == "" {
		return nil, errors.New("no node of the cluster of KUBECONFIG has an address")
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	made, err := List()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	for _, s := range made {
		if s.NodeAddress == server.Hostname() {
			c, err := using(s)
			if err != nil {
				return nil, err
			}
			c.kubeconfig = kubeconfig // which may choose another user
			return c, nil
		}
	}
	return c, nil
}

// nodeAddress returns the first address of the first node that has one.
func nodeAddress(nodes []corev1.Node) string {
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, node := range nodes {
			for _, a := range node.Status.Addresses {
				if a.Type == kind {
					return a.Address
				}
			}
		}
	}
	return ""
}
