// Package pipeline has Spinnaker's pipelines as values: configuration with
// expected artifacts, the stages that deliver to Kubernetes, and checks of
// what Orca would find out only when the pipeline runs.
//
// The JSON is Spinnaker's own, so that files go both ways: what Deck or spin
// saved is read, and what this package does not know (other stages, other
// fields, triggers) is kept and written back. The fields follow
// orca-bakery, orca-clouddriver, orca-core, orca-echo, orca-webhook and
// kork-artifacts of github.com/spinnaker/spinnaker at 8f1801da9.
package pipeline

import (
	"encoding/json"
	"slices"
)

// Pipeline is a pipeline of an application.
type Pipeline struct {
	// ID is given by Spinnaker when the pipeline is saved.
	ID string `json:"id,omitempty"`
	// Application that the pipeline belongs to, and Name, unique in it.
	Application string `json:"application"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// LimitConcurrent lets one execution run at a time; KeepWaitingPipelines
	// keeps all that wait, not only the latest.
	LimitConcurrent      bool `json:"limitConcurrent,omitempty"`
	KeepWaitingPipelines bool `json:"keepWaitingPipelines,omitempty"`
	// Parameters that whoever starts it may give.
	Parameters []Parameter `json:"parameterConfig,omitempty"`
	// ExpectedArtifacts that it is given when it starts.
	ExpectedArtifacts []ExpectedArtifact `json:"expectedArtifacts,omitempty"`
	// Stages in any order; their RefIDs say what comes after what.
	Stages []Stage `json:"stages"`
	// Other are all other fields, e.g. triggers, as they were read.
	Other map[string]any `json:"-"`
}

// Parameter of a pipeline.
type Parameter struct {
	Name        string `json:"name"`
	Label       string `json:"label,omitempty"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	// Default is a text, mostly; nil: none.
	Default any `json:"default,omitempty"`
	// Options allows these values only; empty: any.
	Options []Option `json:"options,omitempty"`
	// HasOptions must be true for Options to hold.
	HasOptions bool `json:"hasOptions,omitempty"`
	// Other are all other fields, as they were read.
	Other map[string]any `json:"-"`
}

// Option is a value of a parameter.
type Option struct {
	Value string `json:"value"`
}

// Stage is a step of a pipeline with its place among the others.
type Stage struct {
	// RefID is unique in the pipeline.
	RefID string
	Name  string
	// After are the RefIDs of the stages that must end before.
	After []string
	// Do is what it does.
	Do Step
	// Produces are artifacts that it leaves for later stages.
	Produces []ExpectedArtifact
	// Other are all other fields, e.g. comments, notifications,
	// failPipeline, as they were read.
	Other map[string]any
}

// Step is what a stage does: one of BakeManifest, DeployManifest, Wait,
// ManualJudgment, CheckPreconditions, Webhook, RunJob and Unknown.
type Step interface {
	// Type is the type of the stage in Spinnaker.
	Type() string
	check(c *checker)
}

// place is what the stages of all types have.
type place struct {
	Type     string             `json:"type"`
	RefID    string             `json:"refId"`
	Name     string             `json:"name"`
	After    []string           `json:"requisiteStageRefIds"`
	Produces []ExpectedArtifact `json:"expectedArtifacts,omitempty"`
}

// MarshalJSON writes the stage as Spinnaker has it: one flat object.
func (s Stage) MarshalJSON() ([]byte, error) {
	p := place{RefID: s.RefID, Name: s.Name, After: s.After, Produces: s.Produces}
	if s.Do != nil {
		p.Type = s.Do.Type()
	}
	if p.After == nil {
		p.After = []string{}
	}
	return merge(s.Other, s.Do, p)
}

// UnmarshalJSON reads a stage of any type.
func (s *Stage) UnmarshalJSON(data []byte) error {
	var p place
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	step, known := newStep(p.Type), []any{p}
	if _, unknown := step.(*Unknown); !unknown {
		if err := json.Unmarshal(data, step); err != nil {
			return err
		}
		known = append(known, step)
	}
	other, err := rest(data, known...)
	if err != nil {
		return err
	}
	*s = Stage{RefID: p.RefID, Name: p.Name, After: p.After, Produces: p.Produces, Do: step, Other: other}
	return nil
}

// plain is Pipeline without its methods.
type plain Pipeline

// MarshalJSON writes the pipeline as Spinnaker has it.
func (p Pipeline) MarshalJSON() ([]byte, error) {
	if p.Stages == nil {
		p.Stages = []Stage{}
	}
	return merge(p.Other, plain(p))
}

// UnmarshalJSON reads a pipeline.
func (p *Pipeline) UnmarshalJSON(data []byte) error {
	var in plain
	other, err := read(data, &in)
	*p = Pipeline(in)
	p.Other = other
	return err
}

// Stage returns the stage of that RefID.
func (p Pipeline) Stage(refID string) (Stage, bool) {
	i := slices.IndexFunc(p.Stages, func(s Stage) bool { return s.RefID == refID })
	if i < 0 {
		return Stage{}, false
	}
	return p.Stages[i], true
}
