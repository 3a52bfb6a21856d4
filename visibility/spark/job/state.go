package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Kind is a kind of job.
type Kind string

// The kinds.
const (
	Full Kind = "full" // all buckets
	Fast Kind = "fast" // those that have changed
)

// Name is the job's name in Spark, as in 2019: clover-spark or
// clover-spark-fast.
func (k Kind) Name() string {
	if k == Fast {
		return "clover-spark-fast"
	}
	return "clover-spark"
}

// Outcome says how a run ended.
type Outcome string

// The outcomes.
const (
	OK       Outcome = "ok"
	Nothing  Outcome = "nothing"  // nothing had changed; Spark was not asked
	Failed   Outcome = "failed"   // also when it was killed from outside
	Deadline Outcome = "deadline" // killed, because it took too long
)

// Record is what is known of one run.
type Record struct {
	ID      string    `json:"id"`
	Kind    Kind      `json:"kind"`
	Attempt int       `json:"attempt"` // from 1; more after failures
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	// From and To are the first and last bucket that it read, Buckets their
	// number and Spans the number of their spans.
	From    string  `json:"from,omitempty"`
	To      string  `json:"to,omitempty"`
	Buckets int     `json:"buckets"`
	Spans   int64   `json:"spans"`
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitempty"`
}

// Committed is a bucket that counts.
type Committed struct {
	Run   string `json:"run"`   // whose output holds it
	Stamp string `json:"stamp"` // of the bucket before the run
	Spans int64  `json:"spans"`
	// Traces is 0 if the run was that of a Clover which did not count them.
	Traces int64 `json:"traces"`
}

// State is what the runs have come to, kept in one file that is replaced as a
// whole.
type State struct {
	Version int                  `json:"version"`
	Buckets map[string]Committed `json:"buckets"`
	Runs    []Record             `json:"runs"` // the newest maxRuns, oldest first
}

const (
	stateVersion = 1
	maxRuns      = 500
	stateFile    = "state.json"
	outputFolder = "output"
)

// ReadState reads the state of a folder of results; one that is not there is
// empty.
func ReadState(dir string) (*State, error) {
	s := &State{Version: stateVersion, Buckets: map[string]Committed{}}
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", stateFile, dir, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%s of %s: %w: it is of version %d, this program knows %d", stateFile, dir, visibility.ErrUnsupported, s.Version, stateVersion)
	}
	return s, nil
}

// write replaces the state on disk, as a whole or not at all.
func (s *State) write(dir string) error {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, stateFile)
	f, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// record adds a run.
func (s *State) record(r Record) {
	s.Runs = append(s.Runs, r)
	if over := len(s.Runs) - maxRuns; over > 0 {
		s.Runs = s.Runs[over:]
	}
}

// used tells which runs' output is still needed.
func (s *State) used() map[string]bool {
	runs := map[string]bool{}
	for _, c := range s.Buckets {
		runs[c.Run] = true
	}
	return runs
}
