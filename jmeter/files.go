package jmeter

import "path/filepath"

// Resolve returns the plan with the names of its files made absolute, relative
// to dir. Names that are absolute or begin with a variable stay.
func (p *Plan) Resolve(dir string) (*Plan, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	at := func(name string) string {
		if name == "" || filepath.IsAbs(name) || len(name) > 1 && name[:2] == "${" {
			return name
		}
		return filepath.Join(dir, filepath.FromSlash(name))
	}
	out := *p
	out.Groups = make([]*Group, len(p.Groups))
	out.TLS.CAFile, out.TLS.CertFile, out.TLS.KeyFile = at(p.TLS.CAFile), at(p.TLS.CertFile), at(p.TLS.KeyFile)
	for i, g := range p.Groups {
		c := *g
		c.Data = append([]DataSet{}, g.Data...)
		for j := range c.Data {
			c.Data[j].File = at(c.Data[j].File)
		}
		c.Steps = resolveSteps(g.Steps, at)
		out.Groups[i] = &c
	}
	return &out, nil
}

func resolveSteps(steps []Step, at func(string) string) []Step {
	out := make([]Step, len(steps))
	for i, s := range steps {
		switch s := s.(type) {
		case *Request:
			c := *s
			c.Body.File = at(c.Body.File)
			c.Body.Files = append([]FilePart{}, s.Body.Files...)
			for j := range c.Body.Files {
				c.Body.Files[j].File = at(c.Body.Files[j].File)
			}
			out[i] = &c
		case *Controller:
			c := *s
			c.Steps = resolveSteps(s.Steps, at)
			out[i] = &c
		default:
			out[i] = s
		}
	}
	return out
}

// Walk calls visit for each step of the plan, controllers before what is in
// them.
func (p *Plan) Walk(visit func(g *Group, s Step)) {
	var walk func(g *Group, steps []Step)
	walk = func(g *Group, steps []Step) {
		for _, s := range steps {
			visit(g, s)
			if c, ok := s.(*Controller); ok {
				walk(g, c.Steps)
			}
		}
	}
	for _, g := range p.Groups {
		walk(g, g.Steps)
	}
}
