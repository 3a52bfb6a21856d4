package builtin

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opnfv/clover/jmeter"
)

// program is a plan that is prepared for being run.
type program struct {
	plan   *jmeter.Plan
	groups []*group
}

type group struct {
	index  int // from 1
	name   string
	load   jmeter.Load
	jar    bool
	sets   []jmeter.DataSet
	shared []*dataReader // of sets, nil where each user has its own
	steps  []step
	active atomic.Int64
}

// step is what a user does. do reports whether the user goes on.
type step interface{ do(u *user) bool }

// compiler collects what the runner cannot do.
type compiler struct {
	plan    *jmeter.Plan
	reasons []string
}

func (c *compiler) cannot(format string, args ...any) {
	if len(c.reasons) < 20 {
		c.reasons = append(c.reasons, fmt.Sprintf(format, args...))
	}
}

// compilePlan prepares a plan or says what of it cannot be run.
func compilePlan(p *jmeter.Plan) (*program, error) {
	c := &compiler{plan: p}
	out := &program{plan: p}
	for _, o := range p.Others {
		if !o.Disabled {
			c.cannot("%s %q is an element that only JMeter has", o.Class, o.Name)
		}
	}
	for i, g := range p.Groups {
		out.groups = append(out.groups, &group{
			index: i + 1, name: g.Name, load: g.Load, jar: g.CookieJar, sets: g.Data,
			shared: make([]*dataReader, len(g.Data)), steps: c.steps(g.Steps),
		})
	}
	if c.reasons != nil {
		return nil, &jmeter.UnsupportedError{Runner: "builtin", Reasons: c.reasons}
	}
	return out, nil
}

// text prepares a text that may hold variables.
func (c *compiler) text(s string) jmeter.Template {
	if c.plan.Functions && (strings.Contains(s, "${__") || strings.Contains(s, "${") && strings.Contains(s, `\`)) {
		c.cannot("%.60q has functions of JMeter", s)
	}
	return jmeter.NewTemplate(s)
}

func (c *compiler) steps(steps []jmeter.Step) []step {
	var out []step
	for _, s := range steps {
		switch s := s.(type) {
		case *jmeter.Request:
			out = append(out, c.request(s))
		case *jmeter.Controller:
			out = append(out, c.controller(s))
		case *jmeter.Opaque:
			if !s.Disabled {
				c.cannot("%s %q is an element that only JMeter has", s.Class, s.Name)
			}
		}
	}
	return out
}

func (c *compiler) regexp(s, kind string) *regexp.Regexp {
	re, err := regexp.Compile(s)
	if err != nil {
		c.cannot("%s %.60q: %v", kind, s, err)
	}
	return re
}

// controller is a controller of the plan.
type controller struct {
	*jmeter.Controller
	name    jmeter.Template
	matches *regexp.Regexp
	steps   []step
	mu      sync.Mutex
	counts  throughput // of all users, under mu
}

// throughput is what a throughput controller has decided until now.
type throughput struct{ executions, iterations int }

func (c *compiler) controller(s *jmeter.Controller) step {
	out := &controller{Controller: s, name: c.text(s.Name), steps: c.steps(s.Steps)}
	if s.Kind == jmeter.IfController && s.Condition.Operator == jmeter.Matches {
		out.matches = c.regexp("^(?:"+s.Condition.Value+")$", "if")
	}
	return out
}

// pair is a name and a value that may hold variables.
type pair struct{ name, value jmeter.Template }

func (c *compiler) pairs(list []jmeter.Pair) []pair {
	var out []pair
	for _, p := range list {
		out = append(out, pair{c.text(p.Name), c.text(p.Value)})
	}
	return out
}

// request is a request of the plan.
type request struct {
	*jmeter.Request
	name                           jmeter.Template
	method                         string
	scheme, host, port, path, base jmeter.Template
	query, headers, fields         []pair
	user, password, bearer, cookie jmeter.Template
	body, file                     jmeter.Template
	files                          [][3]jmeter.Template // field, file, type
	extract                        []extractor
	assert                         []assertion
	keepBody                       bool // something looks at the body
	static                         *target
	traced, identified             bool // it has such headers of its own
}

func (c *compiler) request(q *jmeter.Request) step {
	for _, name := range q.Unknown() {
		c.cannot("%s: %s is known to JMeter only", q.Name, name)
	}
	out := &request{
		Request: q, name: c.text(q.Name), method: q.MethodOrGet(),
		scheme: c.text(q.URL.Scheme), host: c.text(q.URL.Host), port: c.text(q.URL.Port), path: c.text(q.URL.Path), base: c.text(q.URL.Query),
		query: c.pairs(q.Query), headers: c.pairs(q.Headers), fields: c.pairs(q.Body.Fields),
		bearer: c.text(q.Bearer), cookie: c.text(jmeter.CookieHeader(q.Cookies)), body: c.text(q.Body.Text), file: c.text(q.Body.File),
	}
	if q.Basic != nil {
		out.user, out.password = c.text(q.Basic.User), c.text(q.Basic.Password)
	}
	for _, f := range q.Body.Files {
		out.files = append(out.files, [3]jmeter.Template{c.text(f.Field), c.text(f.File), c.text(f.Type)})
	}
	for _, h := range q.Headers {
		out.traced = out.traced || strings.EqualFold(h.Name, jmeter.TraceparentHeader)
		out.identified = out.identified || strings.EqualFold(h.Name, jmeter.RunIDHeader)
	}
	for _, x := range q.Extract {
		out.extract = append(out.extract, c.extractor(x))
		out.keepBody = out.keepBody || x.Kind != jmeter.ByHeader
	}
	for _, a := range q.Assertions {
		out.assert = append(out.assert, c.assertion(a))
		out.keepBody = out.keepBody || a.Kind != jmeter.StatusIs && a.Kind != jmeter.DurationAtMost
	}
	out.prepare(c.plan)
	return out
}

// prepare makes what is the same each time, if the request has no variables.
func (q *request) prepare(p *jmeter.Plan) {
	for _, t := range []jmeter.Template{q.scheme, q.host, q.port, q.path, q.base, q.user, q.password, q.bearer, q.cookie, q.body} {
		if !t.Static() {
			return
		}
	}
	for _, list := range [][]pair{q.query, q.headers} {
		for _, p := range list {
			if !p.name.Static() || !p.value.Static() {
				return
			}
		}
	}
	if q.Body.Kind == jmeter.NoBody || q.Body.Kind == jmeter.RawBody {
		t, err := q.target(&user{run: &run{program: &program{plan: p}}})
		if err == nil {
			t.head = t.appendHead(nil, q.method, !q.NoKeepAlive)
			q.static = t
		}
	}
}

// target is a request whose variables have their values.
type target struct {
	url    *url.URL
	addr   string // HOST:PORT
	secure bool
	header []jmeter.Pair // without those of correlation
	body   []byte
	head   []byte // the request up to its last header; nil: not made yet
}
