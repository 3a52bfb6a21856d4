package jmeter

import (
	"path/filepath"
	"slices"
	"strings"
)

// ReadPlan reads a plan as YAML, or as a file of JMeter if it looks like XML.
func ReadPlan(data []byte) (*Plan, error) {
	if strings.HasPrefix(strings.TrimLeft(string(data[:min(len(data), 512)]), "\ufeff \t\r\n"), "<") {
		return ReadJMX(data)
	}
	return ParsePlan(data)
}

// Files returns the names of the files that the plan reads, each once.
func (p *Plan) Files() []string {
	names := []string{p.TLS.CAFile, p.TLS.CertFile, p.TLS.KeyFile}
	for _, g := range p.Groups {
		for _, d := range g.Data {
			names = append(names, d.File)
		}
	}
	p.Walk(func(_ *Group, s Step) {
		if q, ok := s.(*Request); ok {
			names = append(names, q.Body.File)
			for _, f := range q.Body.Files {
				names = append(names, f.File)
			}
		}
	})
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// Hosts returns the hosts of the plan's requests, each once, as they are
// written: they may hold variables.
func (p *Plan) Hosts() []string {
	var hosts []string
	p.Walk(func(_ *Group, s Step) {
		if q, ok := s.(*Request); ok {
			hosts = append(hosts, strings.Trim(q.URL.Host, "[]"))
		}
	})
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// WithoutRedirects returns the plan with requests that take a redirect for the
// answer.
func (p *Plan) WithoutRedirects() *Plan {
	return p.withRequests(func(q *Request) { q.NoRedirects = true })
}

// withRequests returns a plan whose requests are changed copies.
func (p *Plan) withRequests(change func(q *Request)) *Plan {
	out := *p
	out.Groups = make([]*Group, len(p.Groups))
	for i, g := range p.Groups {
		c := *g
		c.Steps = changeRequests(g.Steps, change)
		out.Groups[i] = &c
	}
	return &out
}

func changeRequests(steps []Step, change func(q *Request)) []Step {
	out := make([]Step, len(steps))
	for i, s := range steps {
		switch s := s.(type) {
		case *Request:
			c := *s
			change(&c)
			out[i] = &c
		case *Controller:
			c := *s
			c.Steps = changeRequests(s.Steps, change)
			out[i] = &c
		default:
			out[i] = s
		}
	}
	return out
}

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
	out := p.withRequests(func(q *Request) {
		q.Body.File = at(q.Body.File)
		q.Body.Files = append([]FilePart{}, q.Body.Files...)
		for i := range q.Body.Files {
			q.Body.Files[i].File = at(q.Body.Files[i].File)
		}
	})
	out.TLS.CAFile, out.TLS.CertFile, out.TLS.KeyFile = at(p.TLS.CAFile), at(p.TLS.CertFile), at(p.TLS.KeyFile)
	for _, g := range out.Groups {
		g.Data = append([]DataSet{}, g.Data...)
		for i := range g.Data {
			g.Data[i].File = at(g.Data[i].File)
		}
	}
	return out, nil
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
