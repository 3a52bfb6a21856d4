package jmeter

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

func (r *planReader) request(n ast.Node, key string) *Request {
	q := &Request{}
	userAgent := ""
	r.mapping(n, key, []field{
		{"name", r.text(&q.Name)},
		{"url", func(n ast.Node, key string) { r.url(n, key, q) }},
		{"method", r.text(&q.Method)},
		{"user_agent", r.text(&userAgent)},
		{"query", r.pairs(&q.Query)}, {"headers", r.pairs(&q.Headers)}, {"cookies", r.pairs(&q.Cookies)},
		{"basic_auth", func(n ast.Node, key string) {
			q.Basic = &Credentials{}
			r.mapping(n, key, []field{{"user", r.text(&q.Basic.User)}, {"password", r.text(&q.Basic.Password)}})
		}},
		{"bearer", r.text(&q.Bearer)},
		{"body", r.bodyOf(q, RawBody, r.blockText(&q.Body.Text))},
		{"json", r.bodyOf(q, RawBody, func(n ast.Node, key string) { r.json(n, key, q) })},
		{"body_file", r.bodyOf(q, FileBody, r.text(&q.Body.File))},
		{"form", r.bodyOf(q, FormBody, r.pairs(&q.Body.Fields))},
		{"multipart", r.bodyOf(q, MultiBody, func(n ast.Node, key string) { r.multipart(n, key, &q.Body) })},
		{"timeout", r.duration(&q.Timeout)}, {"connect_timeout", r.duration(&q.ConnectTimeout)},
		{"follow_redirects", r.not(&q.NoRedirects)}, {"keep_alive", r.not(&q.NoKeepAlive)},
		{"think_time", r.pause(&q.Pause)},
		{"extract", func(n ast.Node, key string) {
			r.list(n, key, func(n ast.Node, key string) { q.Extract = append(q.Extract, r.extractor(n, key)) })
		}},
		{"assert", func(n ast.Node, key string) {
			r.list(n, key, func(n ast.Node, key string) { q.Assertions = append(q.Assertions, r.assertion(n, key)...) })
		}},
	})
	if q.Method = strings.ToUpper(q.Method); q.Method == "" && q.Body.Kind != NoBody {
		q.Method = "POST"
	}
	if userAgent != "" {
		if hasHeader(q.Headers, "User-Agent") {
			r.fault(r.places[key+".user_agent"], key+".user_agent", "given beside a header User-Agent; want one of them")
		}
		q.Headers = append([]Pair{{"User-Agent", userAgent}}, q.Headers...)
	}
	if r.places[key+".url"] == nil {
		r.fault(n, key+".url", "missing; want e.g. http://proxy-access-control.default:9180")
	}
	if q.Name == "" {
		q.Name = q.URL.Path
	}
	return q
}

func (r *planReader) url(n ast.Node, key string, q *Request) {
	s, ok := r.scalar(n, key, "a URL")
	if !ok {
		return
	}
	u, err := ParseURL(s, r.functions)
	if err != nil {
		r.fault(n, key, "%v", err)
		return
	}
	q.URL = u
}

// bodyOf notes which form the body has; there can be one.
func (r *planReader) bodyOf(q *Request, kind BodyKind, read func(ast.Node, string)) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		if q.Body.Kind != NoBody {
			r.fault(n, key, "a second body; want one of body, json, body_file, form, multipart")
			return
		}
		q.Body.Kind = kind
		read(n, key)
	}
}

// blockText keeps the line break at the end of a block.
func (r *planReader) blockText(to *string) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		if block, ok := n.(*ast.LiteralNode); ok {
			*to = block.Value.Value
			return
		}
		r.text(to)(n, key)
	}
}

// json makes a document of a value; a text is taken for one already.
func (r *planReader) json(n ast.Node, key string, q *Request) {
	if !hasHeader(q.Headers, "Content-Type") {
		q.Headers = append(q.Headers, Pair{"Content-Type", "application/json"})
	}
	if s, ok := n.(*ast.StringNode); ok {
		q.Body.Text = s.Value
		return
	}
	if s, ok := n.(*ast.LiteralNode); ok {
		q.Body.Text = s.Value.Value
		return
	}
	var b strings.Builder
	r.writeJSON(&b, n, key)
	q.Body.Text = b.String()
}

func (r *planReader) writeJSON(b *strings.Builder, n ast.Node, key string) {
	if pairs, ok := strictyaml.Pairs(n); ok {
		b.WriteByte('{')
		for i, p := range pairs {
			if i > 0 {
				b.WriteByte(',')
			}
			name, _ := strictyaml.Key(p.Key)
			b.WriteString(quoteJSON(name) + ":")
			r.writeJSON(b, p.Value, key+"."+name)
		}
		b.WriteByte('}')
		return
	}
	if seq, ok := n.(*ast.SequenceNode); ok {
		b.WriteByte('[')
		for i, e := range seq.Values {
			if i > 0 {
				b.WriteByte(',')
			}
			r.writeJSON(b, e, key)
		}
		b.WriteByte(']')
		return
	}
	switch v := n.(type) {
	case *ast.NullNode:
		b.WriteString("null")
	case *ast.BoolNode:
		b.WriteString(strconv.FormatBool(v.Value))
	case *ast.IntegerNode, *ast.FloatNode:
		b.WriteString(jsonNumber(v.GetToken().Value))
	default:
		if s, ok := r.scalar(n, key, "a value"); ok {
			b.WriteString(quoteJSON(s))
		}
	}
}

func (r *planReader) multipart(n ast.Node, key string, b *Body) {
	r.mapping(n, key, []field{
		{"fields", r.pairs(&b.Fields)},
		{"files", func(n ast.Node, key string) {
			r.list(n, key, func(n ast.Node, key string) {
				f := FilePart{}
				r.mapping(n, key, []field{{"field", r.text(&f.Field)}, {"file", r.text(&f.File)}, {"type", r.text(&f.Type)}})
				b.Files = append(b.Files, f)
			})
		}},
	})
}

func (r *planReader) extractor(n ast.Node, key string) Extractor {
	x := Extractor{Kind: -1}
	way := func(kind ExtractorKind, read func(ast.Node, string)) func(ast.Node, string) {
		return func(n ast.Node, key string) {
			if x.Kind != -1 {
				r.fault(n, key, "a second way; want one of json, regexp, header, boundary")
			}
			x.Kind = kind
			read(n, key)
		}
	}
	r.mapping(n, key, []field{
		{"variable", r.text(&x.Variable)}, {"default", r.text(&x.Default)},
		{"json", way(ByJSONPath, r.text(&x.Expression))}, {"regexp", way(ByRegexp, r.text(&x.Expression))},
		{"header", way(ByHeader, r.text(&x.Expression))},
		{"boundary", way(ByBoundary, func(n ast.Node, key string) {
			r.mapping(n, key, []field{{"left", r.text(&x.Expression)}, {"right", r.text(&x.Right)}})
		})},
	})
	if x.Kind == -1 {
		r.fault(n, key, "want one of json, regexp, header, boundary")
		x.Kind = ByBoundary
	}
	return x
}

// assertion reads an entry of assert; each of its keys is one assertion.
func (r *planReader) assertion(n ast.Node, key string) []Assertion {
	var list []Assertion
	one := func(kind AssertionKind) func(ast.Node, string) {
		return func(n ast.Node, key string) {
			a := Assertion{Kind: kind}
			if seq, ok := n.(*ast.SequenceNode); ok && kind == StatusIs {
				r.list(seq, key, r.appendText(&a.Values))
			} else {
				r.appendText(&a.Values)(n, key)
			}
			list = append(list, a)
		}
	}
	size := func(kind AssertionKind) func(ast.Node, string) {
		return func(n ast.Node, key string) {
			bytes := 0
			r.integer(&bytes)(n, key)
			list = append(list, Assertion{Kind: kind, Bytes: int64(bytes)})
		}
	}
	r.mapping(n, key, []field{
		{"status", one(StatusIs)}, {"body_contains", one(BodyContains)}, {"body_not_contains", one(BodyContainsNot)},
		{"body_matches", one(BodyMatches)},
		{"json", func(n ast.Node, key string) {
			path, equals := "", ""
			r.mapping(n, key, []field{{"path", r.text(&path)}, {"equals", r.text(&equals)}})
			a := Assertion{Kind: JSONPathIs, Values: []string{path}}
			if r.places[key+".equals"] != nil {
				a.Values = append(a.Values, equals)
			}
			list = append(list, a)
		}},
		{"max_duration", func(n ast.Node, key string) {
			a := Assertion{Kind: DurationAtMost}
			r.duration(&a.Duration)(n, key)
			list = append(list, a)
		}},
		{"max_bytes", size(SizeAtMost)}, {"min_bytes", size(SizeAtLeast)},
	})
	return list
}
