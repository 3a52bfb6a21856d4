package cluster

import (
	"context"
	"os"
)

// create makes a cluster that ends with this process.
func create(ctx context.Context, name string) (*Cluster, func() error, error) {
	c, err := up(ctx, Options{Name: name, Progress: os.Stderr})
	if err != nil {
		return nil, nil, err
	}
	kubeconfig, err := c.Kubeconfig()
	if err != nil {
		return nil, nil, err
	}
	return &Cluster{kubeconfig: kubeconfig, nodeAddress: c.NodeAddress, load: c.loadImage}, c.down, nil
}
