package jmeter

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
)

// NewRunID returns a new identity of a run.
func NewRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// runID is what a run may be called: it becomes the value of a header.
var runID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// CheckRunID says whether a run may have that identity; "" is a new one.
func CheckRunID(id string) error {
	if id != "" && !runID.MatchString(id) {
		return fmt.Errorf("%w: run ID %.60q; want letters, digits, '.', '_', ':' and '-', at most 128", ErrInvalid, id)
	}
	return nil
}
