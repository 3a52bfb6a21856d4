//go:build !linux

package kernel

import (
	"context"

	"github.com/opnfv/clover/clovisor/packet"
)

// Capture captures segments; there is none on this system.
type Capture struct{}

// New returns [ErrUnsupported] on this system.
func New(Options) (*Capture, error) { return nil, ErrUnsupported }

// Attach returns [ErrUnsupported].
func (*Capture) Attach(Target) error { return ErrUnsupported }

// Detach returns [ErrUnsupported].
func (*Capture) Detach(uint32) (Counters, error) { return Counters{}, ErrUnsupported }

// SetRules returns [ErrUnsupported].
func (*Capture) SetRules(uint32, Rules) error { return ErrUnsupported }

// Skip returns [ErrUnsupported].
func (*Capture) Skip(uint32, packet.Flow, uint32) error { return ErrUnsupported }

// SkipAll returns [ErrUnsupported].
func (*Capture) SkipAll(uint32, packet.Flow) error { return ErrUnsupported }

// Unskip returns [ErrUnsupported].
func (*Capture) Unskip(uint32, packet.Flow) error { return ErrUnsupported }

// Stats returns [ErrUnsupported].
func (*Capture) Stats() (Stats, error) { return Stats{}, ErrUnsupported }

// Run returns [ErrUnsupported].
func (*Capture) Run(context.Context, func(*packet.Segment)) error { return ErrUnsupported }

// Close does nothing.
func (*Capture) Close() error { return nil }

// CleanUp returns [ErrUnsupported] on this system.
func CleanUp(string) (removed int, err error) { return 0, ErrUnsupported }

// Check reports that this system is not supported.
func Check() Report {
	var r Report
	r.add("Linux", false, Missing, ErrUnsupported.Error(), "capture on Linux, and read the capture file here")
	return r
}
