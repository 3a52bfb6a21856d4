package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/opnfv/clover/spinnaker"
)

// maxStages is more than any pipeline that people can read.
const maxStages = 1000

// checker collects what is wrong with a pipeline.
type checker struct {
	at     string // the stage
	faults []error
	stage  Stage
	// ids are the artifacts that the stage can use.
	ids map[string]bool
}

func (c *checker) fault(field, format string, args ...any) {
	if c.at != "" {
		field = strings.TrimSuffix(c.at+"."+field, ".")
	}
	c.faults = append(c.faults, &spinnaker.FieldError{Field: field, Msg: fmt.Sprintf(format, args...)})
}

// Check says what can never work, all of it at once, as FieldErrors joined:
// names, references between stages, cycles, artifacts that no earlier stage
// has, and what each step needs.
func (p Pipeline) Check() error {
	c := &checker{}
	for field, value := range map[string]string{"name": p.Name, "application": p.Application} {
		if strings.TrimSpace(value) == "" || strings.TrimSpace(value) != value {
			c.fault(field, "%q; want a name without spaces around it", value)
		}
	}
	if len(p.Stages) > maxStages {
		c.fault("stages", "%d; at most %d", len(p.Stages), maxStages)
		return errors.Join(c.faults...)
	}
	c.parameters(p.Parameters)
	ids := c.artifacts(p)
	if c.graph(p) {
		there := p.available(ids)
		for i, s := range p.Stages {
			c.at, c.stage, c.ids = fmt.Sprintf("stages[%d]", i), s, there[s.RefID]
			if s.Do == nil || s.Do.Type() == "" {
				c.fault("type", "is missing; want e.g. bakeManifest, deployManifest, wait")
				continue
			}
			s.Do.check(c)
		}
	}
	return errors.Join(c.faults...)
}

func (c *checker) parameters(all []Parameter) {
	seen := map[string]bool{}
	for i, p := range all {
		at := fmt.Sprintf("parameterConfig[%d].name", i)
		if p.Name == "" || seen[p.Name] {
			c.fault(at, "%q; want a name that no other parameter has", p.Name)
		}
		seen[p.Name] = true
		if text, _ := p.Default.(string); p.HasOptions && text != "" && !slices.Contains(p.Options, Option{text}) {
			c.fault(fmt.Sprintf("parameterConfig[%d].default", i), "%q is none of the options", text)
		}
	}
}

// artifacts checks expected artifacts and returns the IDs of the pipeline's.
func (c *checker) artifacts(p Pipeline) map[string]bool {
	ids, seen := map[string]bool{}, map[string]bool{}
	one := func(at string, e ExpectedArtifact) {
		if e.ID == "" || seen[e.ID] {
			c.fault(at+".id", "%q; want an ID that no other expected artifact has", e.ID)
		}
		seen[e.ID] = true
		if e.Match.Type == "" {
			c.fault(at+".matchArtifact.type", "is missing; want e.g. %s, %s", S3Object, EmbeddedBase64)
		}
		if e.UseDefault && (e.Default == nil || (e.Default.Reference == "" && e.Default.Name == "")) {
			c.fault(at+".defaultArtifact", "is missing, and useDefaultArtifact is set")
		}
		if e.UseDefault && e.Default != nil && e.Default.Type == S3Object {
			if ref := e.Default.Reference; !s3Path.MatchString(ref) {
				c.fault(at+".defaultArtifact.reference", "%q; want s3://BUCKET/KEY", ref)
			}
		}
	}
	for i, e := range p.ExpectedArtifacts {
		one(fmt.Sprintf("expectedArtifacts[%d]", i), e)
		ids[e.ID] = true
	}
	for i, s := range p.Stages {
		for j, e := range s.Produces {
			one(fmt.Sprintf("stages[%d].expectedArtifacts[%d]", i, j), e)
		}
	}
	return ids
}

var s3Path = regexp.MustCompile(`^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^/].*$`)

// graph checks references between stages and that they have an order.
func (c *checker) graph(p Pipeline) bool {
	before := len(c.faults)
	known := map[string]bool{}
	for i, s := range p.Stages {
		if s.RefID == "" || known[s.RefID] {
			c.fault(fmt.Sprintf("stages[%d].refId", i), "%q; want one that no other stage has", s.RefID)
		}
		known[s.RefID] = true
	}
	for i, s := range p.Stages {
		for _, ref := range s.After {
			if !known[ref] {
				c.fault(fmt.Sprintf("stages[%d].requisiteStageRefIds", i), "%q is no stage of this pipeline", ref)
			}
		}
	}
	if len(c.faults) > before {
		return false
	}
	if _, cycle := p.order(); cycle != nil {
		c.fault("stages", "wait for each other in a circle: %s", strings.Join(cycle, " after "))
		return false
	}
	return true
}

// Order returns the RefIDs so that each stage comes after those that it waits
// for. The error names a cycle, or what Check would say of references.
func (p Pipeline) Order() ([]string, error) {
	c := &checker{}
	if !c.graph(p) {
		return nil, errors.Join(c.faults...)
	}
	order, _ := p.order()
	return order, nil
}

// order sorts stages whose references hold, or returns a cycle. It keeps the
// stack itself: a chain may be as long as the pipeline.
func (p Pipeline) order() (sorted, cycle []string) {
	const open, done = 1, 2
	state, after := map[string]int{}, map[string][]string{}
	for _, s := range p.Stages {
		after[s.RefID] = s.After
	}
	type frame struct {
		id   string
		next int
	}
	for _, s := range p.Stages {
		stack := []frame{{id: s.RefID}}
		for len(stack) > 0 && state[s.RefID] != done {
			top := &stack[len(stack)-1]
			state[top.id] = open
			if top.next == len(after[top.id]) {
				state[top.id] = done
				sorted = append(sorted, top.id)
				stack = stack[:len(stack)-1]
				continue
			}
			next := after[top.id][top.next]
			top.next++
			switch state[next] {
			case open:
				i := slices.IndexFunc(stack, func(f frame) bool { return f.id == next })
				for _, f := range stack[i:] {
					cycle = append(cycle, f.id)
				}
				return nil, append(cycle, next)
			case done:
			default:
				stack = append(stack, frame{id: next})
			}
		}
	}
	return sorted, nil
}

// available returns by RefID the artifacts that a stage can use: ids, which
// are the pipeline's, and those that the stages before it leave.
func (p Pipeline) available(ids map[string]bool) map[string]map[string]bool {
	stages := make(map[string]Stage, len(p.Stages))
	for _, s := range p.Stages {
		stages[s.RefID] = s
	}
	out := make(map[string]map[string]bool, len(p.Stages))
	order, _ := p.order()
	for _, ref := range order {
		mine := maps.Clone(ids)
		for _, before := range stages[ref].After {
			maps.Copy(mine, out[before])
			for _, e := range stages[before].Produces {
				mine[e.ID] = true
			}
		}
		out[ref] = mine
	}
	return out
}
