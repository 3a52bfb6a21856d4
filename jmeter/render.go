package jmeter

import (
	"strconv"
	"strings"
	"time"
)

// What carries a run's identity. JMeter evaluates these for every request.
const (
	RunIDHeader         = "x-clover-run-id"
	TraceparentHeader   = "traceparent"
	runIDProperty       = "clover.run.id"
	runIDTemplate       = "${__P(" + runIDProperty + ",none)}"
	tracePrefixProperty = "clover.trace.prefix"
	traceparentTemplate = "00-${__P(" + tracePrefixProperty + ",000000000000)}${__RandomString(20,0123456789abcdef,)}-${__RandomString(16,0123456789abcdef,)}-01"
)

// JMX returns the plan as a file for JMeter 5.6, the same bytes each time. A
// plan that was read from JMX keeps everything of it that was not changed.
func (p *Plan) JMX() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	root := &element{name: "jmeterTestPlan", attrs: p.root}
	if p.source == nil {
		root.attrs = []xmlAttr{attr("version", "1.2"), attr("properties", "5.0"), attr("jmeter", "5.6.3")}
	}
	root.add(hashTree(append([]*node{p.node()}, p.beside...)))
	return marshal(root)
}

// hashTree writes nodes as JMeter does: each element, then what is below it.
func hashTree(nodes []*node) *element {
	t := &element{name: "hashTree"}
	for _, n := range nodes {
		t.add(n.el, hashTree(n.sub))
	}
	return t
}

// renderer makes elements of a plan's values.
type renderer struct{ functions, correlate bool }

func (p *Plan) renderer() renderer {
	return renderer{functions: p.Functions, correlate: !p.Uncorrelated}
}

// node returns the plan's element with its groups.
func (p *Plan) node() *node {
	mine := p.fresh()
	if p.source == nil {
		return mine
	}
	r := jmxReader{functions: p.Functions, correlated: !p.Uncorrelated}
	return merge(p.source, r.plan(p.source).fresh(), mine)
}

func (p *Plan) fresh() *node {
	r := p.renderer()
	name := p.Name
	if name == "" {
		name = "Test Plan"
	}
	vars := append([]Pair{{dollar, "$"}}, p.Variables...)
	var args []*element
	for _, v := range vars {
		args = append(args, object(v.Name, "Argument",
			text("Argument.name", v.Name), text("Argument.value", r.text(v.Value)), text("Argument.metadata", "=")))
	}
	definitions := object("TestPlan.user_defined_variables", "Arguments", collection("Arguments.arguments", args...))
	definitions.attrs = append(definitions.attrs, attr("guiclass", "ArgumentsPanel"), attr("testclass", "Arguments"),
		attr("testname", "User Defined Variables"), attr("enabled", "true"))
	n := &node{el: testElement("TestPlan", "TestPlanGui", r.text(name),
		flag("TestPlan.functional_mode", false), flag("TestPlan.tearDown_on_shutdown", true),
		flag("TestPlan.serialize_threadgroups", false), definitions)}
	for _, o := range p.Others {
		n.sub = append(n.sub, o.source)
	}
	for _, g := range p.Groups {
		n.sub = append(n.sub, r.group(g))
	}
	return n
}

func (r renderer) text(s string) string { return jmeterText(s, r.functions) }

// merge returns an element read from a file with what was changed since:
// base is what the model made of the file, mine what it makes now.
func merge(source, base, mine *node) *node {
	if base.equal(mine) {
		return source
	}
	out := &node{el: mergeElement(source.el, base.el, mine.el), sub: mine.sub}
	if equalNodes(base.sub, mine.sub) {
		out.sub = source.sub
	}
	return out
}

func equalNodes(a, b []*node) bool {
	return (&node{el: &element{}, sub: a}).equal(&node{el: &element{}, sub: b})
}

func mergeElement(source, base, mine *element) *element {
	out := &element{name: source.name, attrs: append([]xmlAttr{}, source.attrs...), text: source.text}
	for i, a := range out.attrs {
		if v := mine.attr(a.Name.Local); v != base.attr(a.Name.Local) {
			out.attrs[i].Value = v
		}
	}
	for _, c := range source.children {
		name := c.attr("name")
		b, m := base.prop(name), mine.prop(name)
		switch {
		case name == "" || b == nil && m == nil:
			out.add(c)
		case b != nil && m != nil && b.equal(m):
			out.add(c)
		case m != nil:
			out.add(m)
		}
	}
	for _, m := range mine.children {
		name := m.attr("name")
		b := base.prop(name)
		if source.prop(name) == nil && (b == nil || !b.equal(m)) {
			out.add(m)
		}
	}
	return out
}

func (r renderer) group(g *Group) *node {
	mine := r.freshGroup(g)
	if g.source == nil {
		return mine
	}
	read := jmxReader{functions: r.functions, correlated: r.correlate}
	return merge(g.source, r.freshGroup(read.group(g.source)), mine)
}

func (r renderer) freshGroup(g *Group) *node {
	n := &node{el: r.closedGroup(g)}
	if g.Load.Rate > 0 {
		n.el = r.openGroup(g)
	}
	if g.CookieJar {
		n.sub = append(n.sub, &node{el: testElement("CookieManager", "CookiePanel", "Cookies",
			collection("CookieManager.cookies"), flag("CookieManager.clearEachIteration", false),
			flag("CookieManager.controlledByThreadGroup", false))})
	}
	for _, d := range g.Data {
		n.sub = append(n.sub, &node{el: r.dataSet(d)})
	}
	if t := timer(g.Load.Think); t != nil {
		n.sub = append(n.sub, &node{el: t})
	}
	n.sub = append(n.sub, r.steps(g.Steps)...)
	return n
}

func (r renderer) closedGroup(g *Group) *element {
	loops := g.Load.Loops
	if loops == 0 {
		loops = -1
	}
	limit := g.Load.Limit()
	controller := object("ThreadGroup.main_controller", "LoopController",
		flag("LoopController.continue_forever", false), text("LoopController.loops", strconv.Itoa(loops)))
	controller.attrs = append(controller.attrs, attr("guiclass", "LoopControlPanel"), attr("testclass", "LoopController"),
		attr("testname", "Loop Controller"), attr("enabled", "true"))
	el := testElement("ThreadGroup", "ThreadGroupGui", r.text(g.Name),
		text("ThreadGroup.on_sample_error", "continue"), controller,
		text("ThreadGroup.num_threads", strconv.Itoa(g.Load.Threads)), text("ThreadGroup.ramp_time", seconds(g.Load.RampUp)),
		flag("ThreadGroup.scheduler", limit > 0))
	if limit > 0 {
		el.add(text("ThreadGroup.duration", seconds(limit)))
	}
	return el.add(text("ThreadGroup.delay", ""), flag("ThreadGroup.same_user_on_next_iteration", true))
}

// openGroup starts iterations at a rate. In JMeter their number at a time has
// no limit.
func (r renderer) openGroup(g *Group) *element {
	limit, rate := g.Load.Limit(), strconv.FormatFloat(g.Load.Rate, 'f', -1, 64)
	schedule := ""
	if g.Load.RampUp > 0 {
		schedule = "rate(0/sec) even_arrivals(" + seconds(g.Load.RampUp) + " sec) "
	}
	schedule += "rate(" + rate + "/sec) even_arrivals(" + seconds(limit-g.Load.RampUp) + " sec) pause(2 sec)"
	return testElement("OpenModelThreadGroup", "OpenModelThreadGroupGui", r.text(g.Name),
		object("ThreadGroup.main_controller", "OpenModelThreadGroupController"),
		text("OpenModelThreadGroup.schedule", schedule))
}

// seconds is how JMeter takes a time, in whole seconds where it can be.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

func (r renderer) dataSet(d DataSet) *element {
	mode, delimiter := "shareMode.group", d.Delimiter
	if d.PerThread {
		mode = "shareMode.thread"
	}
	if delimiter == "" {
		delimiter = ","
	}
	if delimiter == "\t" {
		delimiter = `\t`
	}
	return testElement("CSVDataSet", "TestBeanGUI", "Data of "+r.text(d.File),
		text("filename", r.text(d.File)), text("fileEncoding", "UTF-8"), text("variableNames", strings.Join(d.Variables, ",")),
		flag("ignoreFirstLine", d.SkipHeader), text("delimiter", delimiter), flag("quotedData", true),
		flag("recycle", !d.Once), flag("stopThread", d.Once), text("shareMode", mode))
}

// timer returns the element of a pause, nil if there is none.
func timer(p Pause) *element {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	switch {
	case p.Deviation > 0:
		return testElement("GaussianRandomTimer", "GaussianRandomTimerGui", "Pause",
			text("ConstantTimer.delay", ms(p.Time)), text("RandomTimer.range", ms(p.Deviation)))
	case p.Range > 0:
		return testElement("UniformRandomTimer", "UniformRandomTimerGui", "Pause",
			text("ConstantTimer.delay", ms(p.Time)), text("RandomTimer.range", ms(p.Range)))
	case p.Time > 0:
		return testElement("ConstantTimer", "ConstantTimerGui", "Pause", text("ConstantTimer.delay", ms(p.Time)))
	}
	return nil
}

func (r renderer) steps(steps []Step) []*node {
	var nodes []*node
	for _, s := range steps {
		nodes = append(nodes, r.step(s))
	}
	return nodes
}

func (r renderer) step(s Step) *node {
	mine := r.freshStep(s)
	source := s.from()
	if _, opaque := s.(*Opaque); opaque || source == nil {
		return mine
	}
	read := jmxReader{functions: r.functions, correlated: r.correlate}
	return merge(source, r.freshStep(read.step(source)), mine)
}

func (r renderer) freshStep(s Step) *node {
	switch s := s.(type) {
	case *Request:
		return r.request(s)
	case *Controller:
		return &node{el: r.controller(s), sub: r.steps(s.Steps)}
	case *Opaque:
		return s.source
	}
	return nil // no other type has the methods of a Step
}
