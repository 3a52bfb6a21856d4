package jmeter

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// plan reads the whole file. Functions come first, as texts depend on them.
func (r *planReader) plan(root ast.Node) *Plan {
	p := &Plan{}
	pairs, _ := strictyaml.Pairs(root)
	for _, pair := range pairs {
		if _, name := strictyaml.Key(pair.Key); name == "functions" {
			text, _ := strictyaml.Scalar(pair.Value)
			r.functions = strings.EqualFold(text, "true")
		}
	}
	flat := &Group{Name: "ThreadGroup", Load: Load{Threads: 1, Loops: 1}}
	fields := append([]field{
		{"name", r.text(&p.Name)},
		{"functions", r.boolean(&p.Functions)},
		{"correlation", r.not(&p.Uncorrelated)},
		{"http2", r.boolean(&p.HTTP2)},
		{"variables", r.pairs(&p.Variables)},
		{"tls", func(n ast.Node, key string) {
			r.mapping(n, key, []field{
				{"verify", r.boolean(&p.TLS.Verify)}, {"ca_file", r.text(&p.TLS.CAFile)},
				{"cert_file", r.text(&p.TLS.CertFile)}, {"key_file", r.text(&p.TLS.KeyFile)},
			})
		}},
		{"criteria", func(n ast.Node, key string) { r.list(n, key, r.appendText(&p.Criteria)) }},
		{"groups", func(n ast.Node, key string) {
			r.list(n, key, func(n ast.Node, key string) {
				g := &Group{Name: "ThreadGroup", Load: Load{Threads: 1, Loops: 1}}
				r.mapping(n, key, append([]field{{"name", r.text(&g.Name)}}, r.groupFields(g)...))
				p.Groups = append(p.Groups, g)
			})
		}},
	}, r.groupFields(flat)...)
	r.mapping(root, "", fields)
	ofGroup := false
	for _, f := range r.groupFields(flat) {
		if at := r.places[f.name]; at != nil {
			if ofGroup = true; r.places["groups"] != nil {
				r.fault(at, f.name, "given beside groups; put it into a group")
			}
		}
	}
	if ofGroup && r.places["groups"] == nil {
		p.Groups = []*Group{flat}
	}
	return p
}

func (r *planReader) groupFields(g *Group) []field {
	return []field{
		{"load_spec", func(n ast.Node, key string) { r.load(n, key, &g.Load) }},
		{"data", func(n ast.Node, key string) {
			r.list(n, key, func(n ast.Node, key string) { g.Data = append(g.Data, r.dataSet(n, key)) })
		}},
		{"cookie_jar", r.boolean(&g.CookieJar)},
		{"url_list", r.steps(&g.Steps)},
	}
}

// load reads a load_spec. As in 2019, one loop of one user is the default.
func (r *planReader) load(n ast.Node, key string, l *Load) {
	threads, loops := 1, 1
	r.mapping(n, key, []field{
		{"num_threads", r.integer(&threads)}, {"loops", r.integer(&loops)},
		{"ramp_time", r.duration(&l.RampUp)}, {"hold", r.duration(&l.Hold)}, {"duration", r.duration(&l.Duration)},
		{"rate", r.real(&l.Rate)}, {"max_threads", r.integer(&l.MaxThreads)}, {"think_time", r.pause(&l.Think)},
	})
	if r.places[key+".rate"] != nil && r.places[key+".num_threads"] == nil {
		threads = 0
	}
	if r.places[key+".loops"] == nil && l.Limit() > 0 {
		loops = 0
	}
	l.Threads, l.Loops = threads, loops
}

// pause reads a time, or a mapping with how it is distributed.
func (r *planReader) pause(p *Pause) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		if _, ok := strictyaml.Scalar(n); ok {
			r.duration(&p.Time)(n, key)
			return
		}
		r.mapping(n, key, []field{
			{"time", r.duration(&p.Time)}, {"range", r.duration(&p.Range)}, {"deviation", r.duration(&p.Deviation)},
		})
	}
}

func (r *planReader) dataSet(n ast.Node, key string) DataSet {
	d, recycle, shared := DataSet{}, true, true
	r.mapping(n, key, []field{
		{"file", r.text(&d.File)}, {"delimiter", r.text(&d.Delimiter)}, {"skip_header", r.boolean(&d.SkipHeader)},
		{"variables", func(n ast.Node, key string) { r.list(n, key, r.appendText(&d.Variables)) }},
		{"recycle", r.boolean(&recycle)}, {"shared", r.boolean(&shared)},
	})
	if d.Delimiter == `\t` {
		d.Delimiter = "\t"
	}
	d.Once, d.PerThread = !recycle, !shared
	return d
}

func (r *planReader) appendText(to *[]string) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		if s, ok := r.scalar(n, key, "a text"); ok {
			*to = append(*to, s)
		}
	}
}

// controllerKeys say which controller an entry of url_list is.
var controllerKeys = map[string]ControllerKind{
	"if": IfController, "loop": LoopController, "once": OnceController, "transaction": TransactionMeasure, "throughput": ThroughputController,
}

func (r *planReader) steps(to *[]Step) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		r.list(n, key, func(n ast.Node, key string) { *to = append(*to, r.step(n, key)) })
	}
}

func (r *planReader) step(n ast.Node, key string) Step {
	pairs, _ := strictyaml.Pairs(n)
	for _, p := range pairs {
		_, name := strictyaml.Key(p.Key)
		if kind, ok := controllerKeys[name]; ok {
			return r.controller(n, key, kind, name)
		}
	}
	return r.request(n, key)
}

func (r *planReader) controller(n ast.Node, key string, kind ControllerKind, name string) Step {
	c := &Controller{Kind: kind, Name: name}
	var read func(ast.Node, string)
	switch kind {
	case IfController:
		read = r.condition(&c.Condition)
	case LoopController:
		read = r.integer(&c.Count)
	case OnceController:
		read = func(n ast.Node, key string) {
			on := false
			if r.boolean(&on)(n, key); !on {
				r.fault(n, key, "want once: true")
			}
		}
	case TransactionMeasure:
		read = r.text(&c.Name)
	case ThroughputController:
		read = func(n ast.Node, key string) {
			r.mapping(n, key, []field{{"percent", r.real(&c.Percent)}, {"count", r.integer(&c.Count)}, {"per_user", r.boolean(&c.PerUser)}})
		}
	}
	r.mapping(n, key, []field{{name, read}, {"name", r.text(&c.Name)}, {"url_list", r.steps(&c.Steps)}})
	return c
}

func (r *planReader) condition(c *Condition) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		var value string
		set := false
		r.mapping(n, key, []field{
			{"variable", r.text(&c.Variable)}, {"equals", r.text(&value)}, {"not_equals", r.text(&value)},
			{"matches", r.text(&value)}, {"set", r.boolean(&set)},
		})
		for _, op := range []Operator{Equals, NotEquals, Matches, IsSet} {
			if r.places[key+"."+string(op)] == nil {
				continue
			}
			if c.Operator != "" {
				r.fault(n, key, "%s and %s; want one of them", c.Operator, op)
			}
			c.Operator = op
		}
		c.Value = value
	}
}
