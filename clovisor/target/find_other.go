//go:build !linux

package target

import (
	"errors"
	"fmt"
)

// NodeFinder finds the interfaces of pods on a node; only on Linux.
type NodeFinder struct{ Proc string }

var errNotYet = errors.New("not found")

// Find returns an error that wraps errors.ErrUnsupported.
func (NodeFinder) Find([]Pod, map[string]bool) (Set, error) {
	return Set{}, fmt.Errorf("target: pods have interfaces on Linux only: %w", errors.ErrUnsupported)
}
