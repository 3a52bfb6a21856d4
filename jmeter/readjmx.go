package jmeter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ReadJMX reads a test plan of JMeter. What the model has becomes values, and
// everything else is kept as [Opaque] elements and written back by [Plan.JMX].
// A fault is a [*PlanError].
func ReadJMX(data []byte) (*Plan, error) {
	root, err := unmarshal(data)
	if err != nil {
		return nil, err
	}
	if root.name != "jmeterTestPlan" || len(root.children) == 0 || root.children[len(root.children)-1].name != "hashTree" {
		return nil, &PlanError{Msg: fmt.Sprintf("<%s>; want <jmeterTestPlan> with a <hashTree>", root.name)}
	}
	nodes, err := readTree(root.children[len(root.children)-1])
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 || nodes[0].el.name != "TestPlan" {
		return nil, &PlanError{Msg: "want <TestPlan> in the first <hashTree>; a fragment is no plan"}
	}
	traced := hasText(nodes[0], func(s string) bool { return s == traceparentTemplate })
	r := jmxReader{correlated: traced, functions: hasText(nodes[0], hasForeignFunction)}
	p := r.plan(nodes[0])
	p.root, p.beside = root.attrs, nodes[1:]
	return p, nil
}

// readTree pairs the elements of a hashTree with what is below them.
func readTree(t *element) ([]*node, error) {
	var nodes []*node
	for i := 0; i < len(t.children); i++ {
		c := t.children[i]
		if c.name == "hashTree" {
			return nil, &PlanError{Msg: "a <hashTree> that belongs to no element"}
		}
		n := &node{el: c}
		if i+1 < len(t.children) && t.children[i+1].name == "hashTree" {
			i++
			sub, err := readTree(t.children[i])
			if err != nil {
				return nil, err
			}
			n.sub = sub
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// hasText reports whether any text of a tree is of that kind.
func hasText(n *node, is func(string) bool) bool {
	var in func(e *element) bool
	in = func(e *element) bool {
		if len(e.children) == 0 && is(e.text) || is(e.attr("testname")) {
			return true
		}
		for _, c := range e.children {
			if in(c) {
				return true
			}
		}
		return false
	}
	if in(n.el) {
		return true
	}
	for _, s := range n.sub {
		if hasText(s, is) {
			return true
		}
	}
	return false
}

// ownFunction matches the calls that the renderer writes into queries.
var ownFunction = regexp.MustCompile(`\$\{__urlencode\(\$\{[A-Za-z_][A-Za-z0-9_.-]*\}\)\}`)

// hasForeignFunction reports whether a text has a function that is not one of
// the renderer's, or an escape that only plans with functions have.
func hasForeignFunction(s string) bool {
	if s == traceparentTemplate || s == runIDTemplate || jexlForm.MatchString(s) {
		return false
	}
	s = ownFunction.ReplaceAllString(s, "")
	if strings.Contains(s, "${__") {
		return true
	}
	return strings.Contains(s, "${") && jmeterText(fromJMeterText(s, false), false) != s
}

// jmxReader makes values of elements.
type jmxReader struct{ functions, correlated bool }

func (r jmxReader) text(s string) string { return fromJMeterText(s, r.functions) }

func (r jmxReader) plan(n *node) *Plan {
	p := &Plan{Name: r.text(n.el.attr("testname")), source: n, Functions: r.functions, Uncorrelated: !r.correlated}
	if vars := n.el.prop("TestPlan.user_defined_variables"); vars != nil {
		for _, v := range arguments(vars) {
			if v.Name != dollar {
				p.Variables = append(p.Variables, Pair{v.Name, r.text(v.Value)})
			}
		}
	}
	for _, s := range n.sub {
		if isGroup(s) {
			p.Groups = append(p.Groups, r.group(s))
		} else {
			p.Others = append(p.Others, opaque(s))
		}
	}
	return p
}

func isGroup(n *node) bool {
	if n.el.attr("enabled") == "false" {
		return false
	}
	switch n.el.name {
	case "ThreadGroup":
		c := n.el.prop("ThreadGroup.main_controller")
		return c != nil && c.attr("elementType") == "LoopController"
	case "OpenModelThreadGroup":
		_, ok := openLoad(n.el.value("OpenModelThreadGroup.schedule"))
		return ok
	}
	return false
}

// arguments returns the pairs of an Arguments element.
func arguments(el *element) []Pair {
	var pairs []Pair
	if list := el.prop("Arguments.arguments"); list != nil {
		for _, a := range list.children {
			pairs = append(pairs, Pair{a.value("Argument.name"), a.value("Argument.value")})
		}
	}
	return pairs
}

func opaque(n *node) *Opaque {
	return &Opaque{Class: n.el.name, Name: n.el.attr("testname"), Disabled: n.el.attr("enabled") == "false", source: n}
}

func (r jmxReader) group(n *node) *Group {
	g := &Group{Name: r.text(n.el.attr("testname")), source: n}
	if n.el.name == "OpenModelThreadGroup" {
		g.Load, _ = openLoad(n.el.value("OpenModelThreadGroup.schedule"))
	} else {
		g.Load = closedLoad(n.el)
	}
	for _, s := range n.sub {
		switch enabled := s.el.attr("enabled") != "false"; {
		case enabled && s.el.name == "CookieManager" && !g.CookieJar && plainJar(s.el):
			g.CookieJar = true
		case enabled && s.el.name == "CSVDataSet" && r.coversData(s.el):
			g.Data = append(g.Data, r.dataSet(s.el))
		default:
			if p, ok := pause(s); ok && enabled && g.Load.Think == (Pause{}) {
				g.Load.Think = p
				continue
			}
			g.Steps = append(g.Steps, r.step(s))
		}
	}
	return g
}

// coversData reports whether the model has all that a data set says.
func (r jmxReader) coversData(el *element) bool {
	return covers(renderer{functions: r.functions}.dataSet(r.dataSet(el)), el)
}

// plainJar reports whether a cookie manager begins empty and keeps its cookies.
func plainJar(el *element) bool {
	list := el.prop("CookieManager.cookies")
	return (list == nil || len(list.children) == 0) && !el.isTrue("CookieManager.clearEachIteration")
}

func closedLoad(el *element) Load {
	count := func(s string) int { n, _ := strconv.Atoi(strings.TrimSpace(s)); return n }
	l := Load{Threads: count(el.value("ThreadGroup.num_threads")), RampUp: readSeconds(el.value("ThreadGroup.ramp_time"))}
	c := el.prop("ThreadGroup.main_controller")
	if l.Loops = count(c.value("LoopController.loops")); l.Loops < 0 || c.isTrue("LoopController.continue_forever") {
		l.Loops = 0
	}
	if el.isTrue("ThreadGroup.scheduler") {
		l.Duration = readSeconds(el.value("ThreadGroup.duration"))
	}
	return l
}

func readSeconds(s string) time.Duration {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || f < 0 || f > maxDuration.Seconds() {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

var openSchedule = regexp.MustCompile(`^(?:rate\(0/sec\) even_arrivals\(([0-9.]+) sec\) )?rate\(([0-9.]+)/sec\) even_arrivals\(([0-9.]+) sec\) pause\(2 sec\)$`)

// openLoad reads a schedule of the form that the renderer writes.
func openLoad(schedule string) (Load, bool) {
	m := openSchedule.FindStringSubmatch(schedule)
	if m == nil {
		return Load{}, false
	}
	rate, err := strconv.ParseFloat(m[2], 64)
	l := Load{Rate: rate, RampUp: readSeconds(m[1])}
	l.Duration = l.RampUp + readSeconds(m[3])
	return l, err == nil && rate > 0 && rate <= MaxRate
}

func (r jmxReader) dataSet(el *element) DataSet {
	d := DataSet{
		File: r.text(el.value("filename")), Delimiter: el.value("delimiter"), SkipHeader: el.isTrue("ignoreFirstLine"),
		PerThread: el.value("shareMode") == "shareMode.thread", Once: !el.isTrue("recycle"),
	}
	if names := el.value("variableNames"); names != "" {
		d.Variables = strings.Split(names, ",")
	}
	if d.Delimiter == `\t` {
		d.Delimiter = "\t"
	}
	return d
}

// pause reads a timer.
func pause(n *node) (Pause, bool) {
	ms := func(name string) (time.Duration, bool) {
		f, err := strconv.ParseFloat(n.el.value(name), 64)
		return time.Duration(f * float64(time.Millisecond)), err == nil && f >= 0 && f <= float64(maxDuration.Milliseconds())
	}
	delay, ok := ms("ConstantTimer.delay")
	if !ok {
		return Pause{}, false
	}
	switch n.el.name {
	case "ConstantTimer":
		return Pause{Time: delay}, delay > 0
	case "UniformRandomTimer":
		spread, ok := ms("RandomTimer.range")
		return Pause{Time: delay, Range: spread}, ok && spread > 0
	case "GaussianRandomTimer":
		deviation, ok := ms("RandomTimer.range")
		return Pause{Time: delay, Deviation: deviation}, ok && deviation > 0
	}
	return Pause{}, false
}
