package plugin

import (
	"errors"
	"time"
)

// Spec says which module a protocol has.
type Spec struct {
	Protocol, Path string
	// Generation changes when the file is to be loaded again.
	Generation uint64
	// Limits count for this module; where they change, it is loaded again.
	Limits Limits
}

// Limits bounds what a module may do. 0: as in the [Options] of its host.
type Limits struct {
	MemoryBytes int64         // see Options.MemoryBytes
	Timeout     time.Duration // see Options.Timeout
}

// Apply loads, replaces and removes modules until those of specs are there;
// what [Host.Register] made stays unless a module takes its place. A module
// that cannot be loaded is not tried again until its Spec changes, and what
// was in its place goes on. The error joins an [*Error] for each. Calls must
// not overlap.
func (h *Host) Apply(specs []Spec) error {
	wanted := make(map[string]Spec, len(specs))
	var errs []error
	for _, s := range specs {
		wanted[s.Protocol] = s
		if was, ok := h.applied[s.Protocol]; ok && was == s {
			continue
		}
		if err := h.load(s); err != nil {
			errs = append(errs, err)
		}
	}
	for protocol := range h.applied {
		if _, ok := wanted[protocol]; !ok {
			h.Remove(protocol)
		}
	}
	h.applied = wanted
	return errors.Join(errs...)
}
