package plugin

import "errors"

// Spec says which module a protocol has. It has the fields of
// config.Plugin, which can be converted.
type Spec struct {
	Protocol, Path string
	// Generation changes when the file is to be loaded again.
	Generation uint64
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
		if err := h.Load(s.Protocol, s.Path); err != nil {
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
