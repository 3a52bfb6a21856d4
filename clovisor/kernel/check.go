package kernel

import "fmt"

// State says whether a feature of the machine is there.
type State string

// The states.
const (
	OK       State = "ok"
	Degraded State = "degraded" // missing, and there is a way without it
	Missing  State = "missing"  // missing, and nothing can be captured
)

// Feature is what a capture needs of a machine, or makes use of.
type Feature struct {
	Name   string
	State  State
	Detail string // what was found, or what is used instead
	Remedy string // what to do about it; empty if the state is OK
}

// Report is what [Check] found.
type Report struct {
	Release  string // of the kernel
	Hook     Hook   // what [New] would choose
	Buffer   Buffer // what [New] would choose
	Features []Feature
}

// Err returns an error that names the first feature that is missing and what
// to do about it, or nil if a capture will work.
func (r *Report) Err() error {
	for _, f := range r.Features {
		if f.State == Missing {
			return fmt.Errorf("%s: %s: %s", f.Name, f.Detail, f.Remedy)
		}
	}
	return nil
}

func (r *Report) add(name string, ok bool, otherwise State, detail, remedy string) {
	f := Feature{Name: name, State: OK, Detail: detail}
	if !ok {
		f.State, f.Remedy = otherwise, remedy
	}
	r.Features = append(r.Features, f)
}
