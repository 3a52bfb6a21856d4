package jmeter

import (
	"crypto/rand"
	"encoding/hex"
)

// NewRunID returns a new identity of a run.
func NewRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
