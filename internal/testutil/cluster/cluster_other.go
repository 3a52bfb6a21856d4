//go:build !linux

package cluster

import (
	"context"
	"errors"
	"fmt"
)

var errSystem = fmt.Errorf("clusters are made on Linux only, elsewhere set KUBECONFIG: %w", errors.ErrUnsupported)

// Up is not supported on this system.
func Up(context.Context, Options) (*State, error) { return nil, errSystem }

// Down is not supported on this system.
func Down(string) error { return errSystem }

// List is not supported on this system.
func List() ([]*State, error) { return nil, errSystem }

// Load is not supported on this system.
func Load(context.Context, string, string) error { return errSystem }

func create(context.Context, string) (*Cluster, func() error, error) { return nil, nil, errSystem }
