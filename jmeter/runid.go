package jmeter

import (
	"crypto/rand"
	"crypto/sha256"
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

// TracePrefixDigits is the length of what TracePrefix returns.
const TracePrefixDigits = 12

// TracePrefix returns the hexadecimal digits with which the trace identities of
// a run's requests begin, so that the spans of a mesh can be told apart by run.
// The other 20 digits are random.
func TracePrefix(runID string) string {
	sum := sha256.Sum256([]byte(runID))
	return hex.EncodeToString(sum[:TracePrefixDigits/2])
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
