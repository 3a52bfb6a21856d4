//go:build !linux

package target

import (
	"errors"
	"fmt"
)

var errLinuxOnly = fmt.Errorf("target: interfaces are traced on Linux only; read a capture by --pcap: %w", errors.ErrUnsupported)

// NetnsPath returns an error that wraps errors.ErrUnsupported.
func NetnsPath(string) (string, error) { return "", errLinuxOnly }

// Links returns an error that wraps errors.ErrUnsupported.
func Links(string, []string, []Port, []Egress) ([]Target, error) { return nil, errLinuxOnly }
