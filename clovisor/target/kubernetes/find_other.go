//go:build !linux

package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"github.com/opnfv/clover/clovisor/target"
)

// NodeFinder finds the interfaces of pods on a node; only on Linux.
type NodeFinder struct{ Proc string }

var errNotYet = errors.New("not found")

// Find returns an error that wraps errors.ErrUnsupported.
func (NodeFinder) Find([]Pod, map[string]bool) (target.Set, error) {
	return target.Set{}, fmt.Errorf("target: pods have interfaces on Linux only: %w", errors.ErrUnsupported)
}

func watchLinks(context.Context, func()) error { return errors.ErrUnsupported }
