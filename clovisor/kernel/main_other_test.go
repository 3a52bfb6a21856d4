//go:build !linux

package kernel

import (
	"errors"
	"testing"
)

func child(string) int { return 1 }

func TestUnsupported(t *testing.T) {
	if _, err := New(Options{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New: %v", err)
	}
}
