package halyard

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opnfv/clover/spinnaker"
)

var errNotUp = errors.New("the daemon does not say that it is up")

// Severity of a problem, as in halyard-core's Problem.java.
type Severity string

// The severities, from harmless to hopeless.
const (
	Info    Severity = "INFO"
	Warning Severity = "WARNING"
	// Error: Spinnaker will not work so, but the request can be done.
	Error Severity = "ERROR"
	// Fatal: the request cannot be done.
	Fatal Severity = "FATAL"
)

// rank orders severities; -1: unknown.
func (s Severity) rank() int {
	for i, known := range []Severity{Info, Warning, Error, Fatal} {
		if s == known {
			return i
		}
	}
	return -1
}

// Problem is what the daemon found wrong.
type Problem struct {
	Severity Severity `json:"severity"`
	// Location is where, e.g. "default.provider.kubernetes.my-account".
	Location string `json:"location"`
	Message  string `json:"message"`
	// Remediation says what to do; may be empty.
	Remediation string `json:"remediation"`
	// Options are what could stand there instead; may be empty.
	Options []string `json:"options"`
}

// String returns "SEVERITY LOCATION: MESSAGE (REMEDIATION; one of: OPTIONS)".
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", p.Severity, p.Location, p.Message)
	var more []string
	if p.Remediation != "" {
		more = append(more, p.Remediation)
	}
	if len(p.Options) > 0 {
		more = append(more, "one of: "+strings.Join(p.Options, ", "))
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(more, "; "))
	}
	return b.String()
}

// ProblemError is a task that the daemon failed because of problems. It
// matches spinnaker.ErrInvalid, and spinnaker.ErrNotFound where the problem is
// that something is not there.
type ProblemError struct {
	// Op and Target say what was tried on what.
	Op, Target string
	// Problems are all that were found, those that would not have stopped it
	// too.
	Problems []Problem
}

// Error lists the problems, worst first.
func (e *ProblemError) Error() string {
	var list []string
	for _, s := range []Severity{Fatal, Error, Warning, Info} {
		for _, p := range e.Problems {
			if p.Severity == s {
				list = append(list, p.String())
			}
		}
	}
	if len(list) == 0 {
		list = append(list, "the daemon failed without a reason")
	}
	return strings.TrimSpace(e.Op+" "+e.Target) + ": " + strings.Join(list, "; ")
}

// Unwrap returns what the problems mean.
func (e *ProblemError) Unwrap() []error {
	for _, p := range e.Problems {
		if p.Severity == Fatal && saysNotFound(p.Message) {
			return []error{spinnaker.ErrInvalid, spinnaker.ErrNotFound}
		}
	}
	return []error{spinnaker.ErrInvalid}
}

// saysNotFound knows the messages of AccountService.java and
// ProviderService.java; the status that goes with them is lost in the task.
func saysNotFound(message string) bool {
	for _, end := range []string{"was found", "wasn't found", "could be found"} {
		if strings.HasSuffix(message, end) {
			return !strings.HasPrefix(message, "More than one")
		}
	}
	return false
}

// TaskError is a task that did not come to an end of its own. It matches
// spinnaker.ErrTemporary. Whether its work was done is not known, except that
// a change that timed out or was interrupted was not saved.
type TaskError struct {
	Op, Target string
	// Task is its id.
	Task string
	// State is TimedOut, Interrupted or Lost.
	State State
	// Problems that the daemon gave; may be empty.
	Problems []Problem
	// Err is the cause where the daemon could not be asked; else nil.
	Err error
}

// Error says what became of the task and what to do.
func (e *TaskError) Error() string {
	what := map[State]string{
		TimedOut:    "took the daemon too long; try again",
		Interrupted: "was interrupted; try again",
		Lost:        "is unknown to the daemon: it has restarted; look whether the change is there, and try again if not",
	}[e.State]
	text := fmt.Sprintf("%s: task %s %s", strings.TrimSpace(e.Op+" "+e.Target), e.Task, what)
	for _, p := range e.Problems {
		text += "; " + p.String()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns spinnaker.ErrTemporary and the cause.
func (e *TaskError) Unwrap() []error {
	if e.Err == nil {
		return []error{spinnaker.ErrTemporary}
	}
	return []error{spinnaker.ErrTemporary, e.Err}
}
