//go:build !linux

package main

import "errors"

func run() result { return result{Error: errors.ErrUnsupported.Error()} }

func powerOff() error { return errors.ErrUnsupported }
