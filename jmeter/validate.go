package jmeter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of a plan.
const (
	MaxPlanBytes = 10 << 20
	MaxThreads   = 100_000 // of all groups together
	MaxRate      = 1_000_000
	MaxSteps     = 10_000
	MaxBodyBytes = 16 << 20 // of a text; files are not limited
	MaxDepth     = 20       // of controllers in one another
	maxDuration  = 366 * 24 * time.Hour
	maxFaults    = 20
)

var (
	variableName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_.-]*|_[A-Za-z0-9.-][A-Za-z0-9_.-]*|_)$`)
	tokenName    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	methods      = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}
)

// Validate checks a plan. Each fault is a [*PlanError]; several are joined.
func (p *Plan) Validate() error {
	v := &validator{functions: p.Functions}
	v.plain("name", p.Name)
	for i, x := range p.Variables {
		key := fmt.Sprintf("variables.%s", x.Name)
		if !variableName.MatchString(x.Name) || x.Name == dollar {
			v.fault(key, "%q; want a name of letters, digits, '_', '.' and '-'", x.Name)
		}
		if slices.ContainsFunc(p.Variables[:i], func(o Pair) bool { return o.Name == x.Name }) {
			v.fault(key, "given twice")
		}
		v.plain(key, x.Value)
	}
	if (p.TLS.CertFile == "") != (p.TLS.KeyFile == "") {
		v.fault("tls", "cert_file and key_file belong together")
	}
	if p.TLS.CAFile != "" && !p.TLS.Verify {
		v.fault("tls.ca_file", "without verify: true it would not be used")
	}
	if len(p.Groups) == 0 {
		v.fault("groups", "no group; want url_list or groups")
	}
	threads := 0
	for i, g := range p.Groups {
		key := fmt.Sprintf("groups[%d]", i)
		v.group(key, g)
		threads += max(g.Load.Threads, 0)
	}
	if threads > MaxThreads && len(v.faults) == 0 {
		v.fault("groups", "%d threads in all; at most %d", threads, MaxThreads)
	}
	for i, c := range p.Criteria {
		if _, err := ParseCriterion(c); err != nil {
			v.fault(fmt.Sprintf("criteria[%d]", i), "%v", err)
		}
	}
	return errors.Join(v.faults...)
}

// validator collects faults.
type validator struct {
	functions bool
	steps     int
	faults    []error
}

func (v *validator) fault(key, format string, args ...any) {
	if len(v.faults) < maxFaults {
		v.faults = append(v.faults, &PlanError{Key: key, Msg: fmt.Sprintf(format, args...)})
	}
}

// plain checks that a text can be written.
func (v *validator) plain(key, s string) {
	if why := badText(s); why != "" {
		v.fault(key, "%s", why)
	}
}

func (v *validator) between(key string, d, low, high time.Duration) {
	if d < low || d > high {
		v.fault(key, "%v; want %v to %v", d, low, high)
	}
}

func (v *validator) group(key string, g *Group) {
	v.plain(key+".name", g.Name)
	if g.source == nil { // JMeter's files may have functions there
		v.load(key+".load_spec", g.Load)
	}
	for i, d := range g.Data {
		if g.source != nil {
			break
		}
		v.dataSet(fmt.Sprintf("%s.data[%d]", key, i), d)
	}
	if len(g.Steps) == 0 && g.source == nil {
		v.fault(key+".url_list", "empty; want at least one request")
	}
	v.all(key+".url_list", g, g.Steps, 1)
}

func (v *validator) load(key string, l Load) {
	v.between(key+".ramp_time", l.RampUp, 0, maxDuration)
	v.between(key+".duration", l.Duration, 0, maxDuration)
	v.between(key+".hold", l.Hold, 0, maxDuration)
	v.pause(key+".think_time", l.Think)
	if l.Hold > 0 && l.Duration > 0 {
		v.fault(key+".hold", "given beside duration; want one of them")
	}
	switch {
	case l.Rate != 0:
		v.rate(key, l)
	case l.MaxThreads != 0:
		v.fault(key+".max_threads", "only with rate; without it num_threads is the number")
	case l.Threads < 1 || l.Threads > MaxThreads:
		v.fault(key+".num_threads", "%d; want 1 to %d; more need several machines, see start testplan -s", l.Threads, MaxThreads)
	case l.Loops < 0:
		v.fault(key+".loops", "%d; want 1 or more, or 0 for ever", l.Loops)
	case l.Loops == 0 && l.Limit() == 0:
		v.fault(key+".loops", "0 is for ever, and there is no duration; want a duration or a number of loops")
	case l.Duration > 0 && l.Duration < time.Second || l.Hold > 0 && l.Limit() < time.Second:
		v.fault(key+".duration", "%v; want at least 1s", l.Limit())
	}
}

func (v *validator) rate(key string, l Load) {
	switch {
	case !(l.Rate > 0 && l.Rate <= MaxRate):
		v.fault(key+".rate", "%v; want more than 0 and at most %d a second", l.Rate, MaxRate)
	case l.Threads != 0:
		v.fault(key+".num_threads", "given beside rate, which starts users as needed; want max_threads or no rate")
	case l.Loops > 1:
		v.fault(key+".loops", "given beside rate; want a duration")
	case l.Limit() == 0:
		v.fault(key+".duration", "missing; rate needs it")
	case l.Limit() < l.RampUp:
		v.fault(key+".duration", "ends before ramp_time is over; want a longer one")
	case l.MaxThreads < 0 || l.MaxThreads > MaxThreads:
		v.fault(key+".max_threads", "%d; want 1 to %d", l.MaxThreads, MaxThreads)
	}
}

func (v *validator) pause(key string, p Pause) {
	v.between(key, p.Time, 0, time.Hour)
	v.between(key+".range", p.Range, 0, time.Hour)
	v.between(key+".deviation", p.Deviation, 0, time.Hour)
	if p.Range > 0 && p.Deviation > 0 {
		v.fault(key, "range and deviation; want one of them")
	}
	if p.Time%time.Millisecond != 0 || p.Range%time.Millisecond != 0 || p.Deviation%time.Millisecond != 0 {
		v.fault(key, "finer than a millisecond, which JMeter cannot wait for")
	}
}

func (v *validator) dataSet(key string, d DataSet) {
	v.plain(key+".file", d.File)
	if d.File == "" {
		v.fault(key+".file", "missing; want the path of a CSV file")
	}
	if len(d.Variables) == 0 && d.SkipHeader {
		v.fault(key+".skip_header", "without variables the first line names them")
	}
	if len(d.Delimiter) > 1 || strings.ContainsAny(d.Delimiter, "\"\r\n\\") {
		v.fault(key+".delimiter", "%q; want one character, or \\t", d.Delimiter)
	}
	v.plain(key+".delimiter", d.Delimiter)
	for i, name := range d.Variables {
		if !variableName.MatchString(name) {
			v.fault(fmt.Sprintf("%s.variables[%d]", key, i), "%q; want a name of letters, digits, '_', '.' and '-'", name)
		}
	}
}

// all checks steps; depth is how many controllers they are in.
func (v *validator) all(key string, g *Group, steps []Step, depth int) {
	if depth > MaxDepth {
		v.fault(key, "more than %d controllers in one another", MaxDepth)
		return
	}
	for i, s := range steps {
		at := fmt.Sprintf("%s[%d]", key, i)
		if v.steps++; v.steps == MaxSteps+1 {
			v.fault(at, "more than %d steps", MaxSteps)
		}
		switch s := s.(type) {
		case *Request:
			v.request(at, g, s)
		case *Controller:
			v.plain(at+".name", s.Name)
			if s.source == nil {
				v.controller(at, s)
			}
			v.all(at+".url_list", g, s.Steps, depth+1)
		}
	}
}

func (v *validator) controller(key string, c *Controller) {
	switch c.Kind {
	case IfController:
		if !variableName.MatchString(c.Condition.Variable) {
			v.fault(key+".if.variable", "%q; want the name of a variable", c.Condition.Variable)
		}
		v.plain(key+".if", c.Condition.Value)
		if !slices.Contains([]Operator{Equals, NotEquals, Matches, IsSet}, c.Condition.Operator) {
			v.fault(key+".if", "want one of equals, not_equals, matches, set")
		}
		if c.Condition.Operator == Matches {
			v.regexp(key+".if.matches", c.Condition.Value, 0)
		}
		if strings.Contains(c.Condition.Value, "${") {
			v.fault(key+".if", "a condition compares with a text; a variable in it would not be replaced")
		}
	case LoopController:
		if c.Count < 1 || c.Count > 1_000_000 {
			v.fault(key+".loop", "%d; want 1 to 1000000", c.Count)
		}
	case ThroughputController:
		switch {
		case c.Count < 0 || c.Percent < 0 || c.Percent > 100:
			v.fault(key+".throughput", "want a percent of 0 to 100 or a count of 1 or more")
		case c.Count > 0 && c.Percent > 0:
			v.fault(key+".throughput", "percent and count; want one of them")
		}
	}
	if len(c.Steps) == 0 {
		v.fault(key+".url_list", "empty; want at least one request")
	}
}
