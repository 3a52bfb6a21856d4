//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
)

var errSystem = fmt.Errorf("a sandbox needs Linux: %w", errors.ErrUnsupported)

// Init is not supported on this system.
func Init(context.Context, string) error { return errSystem }

// Runc is not supported on this system.
func Runc([]string) error { return errSystem }
