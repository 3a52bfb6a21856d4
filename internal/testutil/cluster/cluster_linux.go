package cluster

import (
	"context"
	"errors"
	"os"
)

// create makes a cluster that ends with this process.
func create(ctx context.Context, name string) (*Cluster, func() error, error) {
	c, err := up(ctx, Options{Name: name, Progress: os.Stderr})
	if err != nil {
		return nil, nil, err
	}
	made, err := using(c.State)
	if err != nil {
		return nil, nil, errors.Join(err, c.down())
	}
	return made, c.down, nil
}
