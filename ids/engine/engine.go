// Package engine controls a real intrusion detection engine: it changes its
// rules while it runs, starts and stops it, and reads what it counts.
//
// [Suricata] drives Suricata through its unix socket, [Snort] drives Snort 3
// by its command line and signals. Both are an [Engine].
//
// # Changing rules
//
// [Rules].Replace is a transaction. The new rules are written beside the old
// ones and tested by the engine's own program; only then they take the place
// of the old ones, in one step, and the engine loads them without missing
// traffic. The change is done when the engine itself counts as many rules as
// its test did, and none that failed. Otherwise the old rules are in place
// again, on disk and in the engine, and the error has the engine's own words
// for each rule: see [RuleError].
package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors to match with errors.Is.
var (
	// ErrRules says that the engine refuses the rules: see [RuleError].
	ErrRules = errors.New("the engine refuses the rules")
	// ErrNotRunning says that the engine does not run. Start it first.
	ErrNotRunning = errors.New("the engine does not run")
	// ErrEnded says that Run has ended, or was not called yet.
	ErrEnded = errors.New("nothing runs the engine: call Run first")
)

// Engine is an intrusion detection engine. Methods may be called
// concurrently; changes are made one after the other.
type Engine interface {
	Rules
	Lifecycle
	Observer
}

// Rules changes what an engine looks for.
type Rules interface {
	// Replace makes the rules the engine's only ones, or changes nothing and
	// returns an error, which is a [*RuleError] if the engine refuses them. The
	// text is in the engine's own language. It works while the engine is
	// stopped too: then the count is that of the engine's test.
	Replace(ctx context.Context, rules []byte) (Counts, error)
	// Current returns the rules in use.
	Current() ([]byte, error)
	// Counts asks the engine for the rules that it has loaded.
	Counts(ctx context.Context) (Counts, error)
}

// Lifecycle runs an engine.
type Lifecycle interface {
	// Run owns the engine's process until ctx ends: it starts it, unless it was
	// stopped before, starts it again when it ends by itself, and ends it. It
	// may be called once.
	Run(ctx context.Context) error
	// Start starts the engine if it does not run, and returns when it looks at
	// traffic. Run has to be running.
	Start(ctx context.Context) (State, error)
	// Stop ends the engine if it runs, and removes what it has logged; readers
	// that have the log open still read it to its end. The state is that
	// before: it has the process that was stopped.
	Stop(ctx context.Context) (State, error)
}

// Observer looks at an engine.
type Observer interface {
	// State tells what is known without asking the engine.
	State() State
	// Health is nil if the engine runs and answers.
	Health(ctx context.Context) error
	// Stats asks the engine what it has counted.
	Stats(ctx context.Context) (Stats, error)
}

// Counts are the rules of an engine.
type Counts struct {
	Loaded  int // in use
	Failed  int // refused
	Skipped int // left out because this engine lacks what they need
}

// State is the state of an engine's process.
type State struct {
	Name     string    // "Suricata" or "Snort"
	Version  string    // such as "7.0.10"; empty before the first start
	Running  bool      // there is a process that looks at traffic
	PID      int       // of that process, or of the last one; 0 before the first
	Since    time.Time // when that process was started
	Restarts int       // how often it ended by itself and was started again
	LastExit string    // how it ended by itself the last time; empty if never
}

// String is the state as people read it: "Suricata 7.0.10 on pid: 155".
func (s State) String() string {
	text := s.Name
	if s.Version != "" {
		text += " " + s.Version
	}
	if !s.Running {
		return text + ", stopped"
	}
	return fmt.Sprintf("%s on pid: %d", text, s.PID)
}

// Started is the message of a start, such as "Started Suricata on pid: 155".
func (s State) Started() string { return fmt.Sprintf("Started %s on pid: %d", s.Name, s.PID) }

// Stopped is the message of a stop, such as "Stopped Suricata on pid: 48,
// Cleared Suricata logs".
func (s State) Stopped() string {
	return fmt.Sprintf("Stopped %s on pid: %d, Cleared %s logs", s.Name, s.PID, s.Name)
}

// Stats is what an engine has counted since its start.
type Stats struct {
	Uptime  time.Duration
	Packets uint64 // seen by the engine
	Dropped uint64 // lost before the engine saw them
	Alerts  uint64
	Rules   Counts
	// Counters has every counter of the engine by its own name, such as
	// "decoder.bytes".
	Counters map[string]float64
}

// RuleError says which rules an engine refuses. It matches [ErrRules].
type RuleError struct {
	Engine   string
	Problems []RuleProblem // in the engine's order
	// Output is the end of what the engine printed.
	Output string
}

// RuleProblem is what an engine says on one rule.
type RuleProblem struct {
	Line    int    // in the text given, from 1; 0 if the engine does not say
	Rule    string // the rule as the engine repeats it; may be empty
	Message string // the engine's own words
}

// maxProblems bounds the problems in the text of an error.
const maxProblems = 5

func (e *RuleError) Error() string {
	var b strings.Builder
	b.WriteString(e.Engine + " refuses the rules")
	for i, p := range e.Problems {
		if i == maxProblems {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-i)
			break
		}
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		if p.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", p.Line)
		}
		b.WriteString(p.Message)
	}
	if len(e.Problems) == 0 {
		b.WriteString(": " + e.Output)
	}
	return b.String()
}

// Is makes the error match [ErrRules].
func (e *RuleError) Is(target error) bool { return target == ErrRules }
