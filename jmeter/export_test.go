package jmeter

import "slices"

// Calls returns the texts of a file that call functions the renderer does not.
func Calls(jmx []byte) []string {
	root, err := unmarshal(jmx)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	hasText(&node{el: root}, func(s string) bool {
		if hasForeignFunction(s) {
			out = append(out, s)
		}
		return false
	})
	return out
}

// SamePlan reports whether two files have the same elements.
func SamePlan(a, b []byte) (bool, error) {
	x, err := unmarshal(a)
	if err != nil {
		return false, err
	}
	y, err := unmarshal(b)
	if err != nil {
		return false, err
	}
	read := func(e *element) []*node {
		nodes, err := readTree(e.children[len(e.children)-1])
		if err != nil {
			return nil
		}
		return nodes
	}
	return slices.EqualFunc(read(x), read(y), (*node).equal), nil
}

// Detached is the plan without the file that it was read from.
func (p *Plan) Detached() *Plan {
	c := *p
	c.source = nil
	c.Groups = nil
	for _, g := range p.Groups {
		d := *g
		d.source, d.Steps = nil, detached(g.Steps)
		c.Groups = append(c.Groups, &d)
	}
	return &c
}

func detached(steps []Step) []Step {
	var out []Step
	for _, s := range steps {
		switch s := s.(type) {
		case *Request:
			c := *s
			c.source = nil
			out = append(out, &c)
		case *Controller:
			c := *s
			c.source, c.Steps = nil, detached(s.Steps)
			out = append(out, &c)
		default:
			out = append(out, s)
		}
	}
	return out
}
