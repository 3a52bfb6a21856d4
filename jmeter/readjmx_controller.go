package jmeter

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (r jmxReader) controller(n *node) (*Controller, bool) {
	el := n.el
	c := &Controller{Name: r.text(el.attr("testname")), source: n}
	switch el.name {
	case "IfController":
		var ok bool
		if c.Condition, ok = readJEXL(el.value("IfController.condition")); !ok {
			return nil, false
		}
	case "LoopController":
		c.Kind = LoopController
		c.Count, _ = strconv.Atoi(el.value("LoopController.loops"))
	case "OnceOnlyController":
		c.Kind = OnceController
	case "TransactionController":
		c.Kind = TransactionMeasure
	case "ThroughputController":
		c.Kind, c.PerUser = ThroughputController, el.isTrue("ThroughputController.perThread")
		if el.value("ThroughputController.style") == "0" {
			c.Count, _ = strconv.Atoi(el.value("ThroughputController.maxThroughput"))
		}
		for _, p := range el.children {
			if p.name == "FloatProperty" && len(p.children) > 1 {
				c.Percent, _ = strconv.ParseFloat(p.children[1].text, 64)
			}
		}
	}
	if !coversController(renderer{functions: r.functions}.controller(c), el) {
		return nil, false
	}
	for _, s := range n.sub {
		c.Steps = append(c.Steps, r.step(s))
	}
	return c, true
}

// coversController is covers for what decides on a controller's way.
func coversController(mine, el *element) bool {
	a, b := *mine, *el
	drop := func(p *element) bool {
		return p.name == "FloatProperty" || p.attr("name") == "LoopController.continue_forever"
	}
	a.children = slices.DeleteFunc(slices.Clone(a.children), drop)
	b.children = slices.DeleteFunc(slices.Clone(b.children), drop)
	return covers(&a, &b)
}

var jexlForm = regexp.MustCompile(`^\$\{__jexl3\((?:vars\.get\("([^"]*)"\) != null|\(vars\.get\("([^"]*)"\) \?: ""\) (==|!=|=~) "([^"]*)"),\)\}$`)

// readJEXL reads a condition that the renderer wrote.
func readJEXL(s string) (Condition, bool) {
	m := jexlForm.FindStringSubmatch(s)
	if m == nil {
		return Condition{}, false
	}
	unquote := func(s string) string {
		v, err := strconv.Unquote(`"` + joinSurrogates(s) + `"`)
		if err != nil {
			return s
		}
		return v
	}
	if m[1] != "" {
		return Condition{Variable: unquote(m[1]), Operator: IsSet}, true
	}
	c := Condition{Variable: unquote(m[2]), Value: unquote(m[4])}
	c.Operator = map[string]Operator{"==": Equals, "!=": NotEquals, "=~": Matches}[m[3]]
	return c, c.jexl() == s
}

var surrogates = regexp.MustCompile(`\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})`)

// joinSurrogates makes one escape of the two that Java needs for a character.
func joinSurrogates(s string) string {
	return surrogates.ReplaceAllStringFunc(s, func(pair string) string {
		high, _ := strconv.ParseUint(pair[2:6], 16, 32)
		low, _ := strconv.ParseUint(pair[8:12], 16, 32)
		c := 0x10000 + (high-0xD800)<<10 + (low - 0xDC00)
		return `\U` + strings.ToLower(strconv.FormatUint(1<<32|c, 16))[1:]
	})
}
