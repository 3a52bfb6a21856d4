package jmeter

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// step reads a step. What the model does not have is opaque.
func (r jmxReader) step(n *node) Step {
	if n.el.attr("enabled") == "false" {
		return opaque(n)
	}
	switch n.el.name {
	case "HTTPSamplerProxy":
		if q, ok := r.request(n); ok {
			return q
		}
	case "IfController", "LoopController", "OnceOnlyController", "TransactionController", "ThroughputController":
		if c, ok := r.controller(n); ok {
			return c
		}
	}
	return opaque(n)
}

// samplerProperties are those of a sampler that the model has; others are
// unknown unless they have the value given here.
var samplerProperties = map[string]string{
	"HTTPSampler.domain": "*", "HTTPSampler.port": "*", "HTTPSampler.protocol": "*", "HTTPSampler.path": "*",
	"HTTPSampler.method": "*", "HTTPSampler.follow_redirects": "*", "HTTPSampler.use_keepalive": "*",
	"HTTPSampler.DO_MULTIPART_POST": "*", "HTTPSampler.connect_timeout": "*", "HTTPSampler.response_timeout": "*",
	"HTTPSampler.postBodyRaw": "*", "HTTPsampler.Arguments": "*", "HTTPsampler.Files": "*",
	"HTTPSampler.contentEncoding": "UTF-8", "HTTPSampler.auto_redirects": "false", "HTTPSampler.implementation": "HttpClient4",
	"TestPlan.comments": "*",
}

func (r jmxReader) request(n *node) (*Request, bool) {
	el := n.el
	q := &Request{
		Name: r.text(el.attr("testname")), Method: el.value("HTTPSampler.method"), source: n,
		NoRedirects: !el.isTrue("HTTPSampler.follow_redirects"), NoKeepAlive: !el.isTrue("HTTPSampler.use_keepalive"),
		ConnectTimeout: milliseconds(el.value("HTTPSampler.connect_timeout")), Timeout: milliseconds(el.value("HTTPSampler.response_timeout")),
		URL: URL{Scheme: r.text(el.value("HTTPSampler.protocol")), Host: r.text(el.value("HTTPSampler.domain")), Port: r.text(el.value("HTTPSampler.port"))},
	}
	if q.URL.Host == "" { // it is in another element
		return nil, false
	}
	if q.URL.Scheme == "" {
		q.URL.Scheme = "http"
	}
	r.path(q, el.value("HTTPSampler.path"))
	for _, p := range el.children {
		name := p.attr("name")
		if want := samplerProperties[name]; want == "*" || p.text == want {
			continue
		}
		if len(p.children) > 0 || p.text != "" && p.text != "false" {
			q.unknown = append(q.unknown, name)
		}
	}
	if !r.body(q, el) {
		return nil, false
	}
	for _, s := range n.sub {
		if !r.below(q, s) {
			q.extra = append(q.extra, s)
		}
	}
	return q, true
}

func milliseconds(s string) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > maxDuration.Milliseconds() {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

var ownEncode = regexp.MustCompile(`\$\{__urlencode\((\$\{[A-Za-z_][A-Za-z0-9_.-]*\})\)\}`)

// path splits a path with its query. Variables in a query that are encoded
// become pairs, everything else stays as it is.
func (r jmxReader) path(q *Request, s string) {
	path, query := s, ""
	if i := splitOutside(s, "?"); i >= 0 {
		path, query = s[:i], s[i+1:]
	}
	q.URL.Path = r.text(path)
	if !strings.HasPrefix(q.URL.Path, "/") {
		q.URL.Path = "/" + q.URL.Path
	}
	if pairs, ok := r.pairs(query); ok {
		q.Query = pairs
		if q.fullQuery(r.functions) == query {
			return
		}
		q.Query = nil
	}
	q.URL.Query = r.text(query)
}

func (r jmxReader) pairs(query string) ([]Pair, bool) {
	if query == "" {
		return nil, true
	}
	var pairs []Pair
	for _, p := range strings.Split(query, "&") {
		name, value, found := strings.Cut(p, "=")
		if !found {
			return nil, false
		}
		n, ok := decodeFromJMeter(name)
		v, ok2 := decodeFromJMeter(value)
		if !ok || !ok2 {
			return nil, false
		}
		pairs = append(pairs, Pair{n, v})
	}
	return pairs, true
}

func decodeFromJMeter(s string) (string, bool) {
	var b strings.Builder
	at := 0
	for _, m := range ownEncode.FindAllStringSubmatchIndex(s, -1) {
		literal, err := url.QueryUnescape(s[at:m[0]])
		if err != nil || strings.Contains(literal, "${") {
			return "", false
		}
		b.WriteString(literal + s[m[2]:m[3]])
		at = m[1]
	}
	literal, err := url.QueryUnescape(s[at:])
	if err != nil || strings.Contains(s[at:], "${") {
		return "", false
	}
	return b.String() + literal, true
}

func (r jmxReader) body(q *Request, el *element) bool {
	var files []*element
	if f := el.prop("HTTPsampler.Files"); f != nil {
		if list := f.prop("HTTPFileArgs.files"); list != nil {
			files = list.children
		}
	}
	var fields []Pair
	if a := el.prop("HTTPsampler.Arguments"); a != nil {
		for _, p := range arguments(a) {
			fields = append(fields, Pair{r.text(p.Name), r.text(p.Value)})
		}
	}
	switch {
	case el.isTrue("HTTPSampler.postBodyRaw"):
		if len(fields) != 1 || len(files) > 0 {
			return false
		}
		q.Body = Body{Kind: RawBody, Text: fields[0].Value}
	case el.isTrue("HTTPSampler.DO_MULTIPART_POST"):
		q.Body = Body{Kind: MultiBody, Fields: fields}
		for _, f := range files {
			q.Body.Files = append(q.Body.Files, FilePart{
				Field: r.text(f.value("File.paramname")), File: r.text(f.value("File.path")), Type: r.text(f.value("File.mimetype")),
			})
		}
	case len(files) == 1 && len(fields) == 0 && files[0].value("File.paramname") == "":
		q.Body = Body{Kind: FileBody, File: r.text(files[0].value("File.path"))}
	case len(files) > 0:
		return false
	case len(fields) > 0:
		return r.fields(q, el, fields)
	}
	return true
}

// fields are a form, or the query of a method that has no body.
func (r jmxReader) fields(q *Request, el *element, fields []Pair) bool {
	for _, a := range el.prop("HTTPsampler.Arguments").prop("Arguments.arguments").children {
		if !a.isTrue("HTTPArgument.always_encode") {
			return false
		}
	}
	if takesBody(q.MethodOrGet()) {
		q.Body = Body{Kind: FormBody, Fields: fields}
		return true
	}
	return false
}

// takesBody reports whether JMeter sends arguments of a method in the body.
func takesBody(method string) bool { return slices.Contains([]string{"POST", "PUT", "PATCH"}, method) }

// below reads what belongs to one request.
func (r jmxReader) below(q *Request, s *node) bool {
	if s.el.attr("enabled") == "false" || len(s.sub) > 0 {
		return false
	}
	switch s.el.name {
	case "HeaderManager":
		if q.Headers != nil || q.Cookies != nil {
			return false
		}
		r.headers(q, s.el)
		return true
	case "AuthManager":
		return r.basic(q, s.el)
	}
	if p, ok := pause(s); ok && q.Pause == (Pause{}) {
		q.Pause = p
		return true
	}
	if x, ok := r.extractor(s.el); ok {
		q.Extract = append(q.Extract, x)
		return true
	}
	if a, ok := r.assertion(s.el); ok {
		q.Assertions = append(q.Assertions, a)
		return true
	}
	return false
}

func (r jmxReader) headers(q *Request, el *element) {
	list := el.prop("HeaderManager.headers")
	if list == nil {
		return
	}
	for _, h := range list.children {
		name, value := h.value("Header.name"), h.value("Header.value")
		if r.correlated && (value == traceparentTemplate || value == runIDTemplate) {
			continue
		}
		q.Headers = append(q.Headers, Pair{r.text(name), r.text(value)})
	}
}

func (r jmxReader) basic(q *Request, el *element) bool {
	list := el.prop("AuthManager.auth_list")
	if q.Basic != nil || list == nil || len(list.children) != 1 {
		return false
	}
	a := list.children[0]
	if a.value("Authorization.url") != "" || a.value("Authorization.domain")+a.value("Authorization.realm") != "" ||
		a.value("Authorization.mechanism") != "" && a.value("Authorization.mechanism") != "BASIC" {
		return false
	}
	q.Basic = &Credentials{User: r.text(a.value("Authorization.username")), Password: r.text(a.value("Authorization.password"))}
	return true
}

var headerPattern = regexp.MustCompile(`^\(\?im\)\^([A-Za-z0-9_\\.-]+):\[ \\t\]\*\(\[\^\\r\\n\]\*\)$`)

func (r jmxReader) extractor(el *element) (Extractor, bool) {
	x := Extractor{}
	switch el.name {
	case "JSONPostProcessor":
		x = Extractor{Kind: ByJSONPath, Variable: el.value("JSONPostProcessor.referenceNames"),
			Expression: r.text(el.value("JSONPostProcessor.jsonPathExprs")), Default: r.text(el.value("JSONPostProcessor.defaultValues"))}
	case "RegexExtractor":
		x = Extractor{Kind: ByRegexp, Variable: el.value("RegexExtractor.refname"),
			Expression: r.text(el.value("RegexExtractor.regex")), Default: r.text(el.value("RegexExtractor.default"))}
		if m := headerPattern.FindStringSubmatch(el.value("RegexExtractor.regex")); m != nil && el.isTrue("RegexExtractor.useHeaders") {
			x.Kind, x.Expression = ByHeader, strings.ReplaceAll(m[1], `\.`, ".")
		}
	case "BoundaryExtractor":
		x = Extractor{Kind: ByBoundary, Variable: el.value("BoundaryExtractor.refname"), Expression: r.text(el.value("BoundaryExtractor.lboundary")),
			Right: r.text(el.value("BoundaryExtractor.rboundary")), Default: r.text(el.value("BoundaryExtractor.default"))}
	default:
		return x, false
	}
	return x, covers(renderer{functions: r.functions}.extractor(x), el)
}

// covers reports whether all that an element says is what the model would
// write, but for names.
func covers(mine, el *element) bool {
	a, b := *mine, *el
	a.attrs, b.attrs = nil, nil
	for _, p := range b.children {
		m := a.prop(p.attr("name"))
		if m == nil && (p.text == "" || p.text == "false") && len(p.children) == 0 {
			continue
		}
		if m == nil || !samePropertyValues(m, p) {
			return false
		}
	}
	return true
}

// samePropertyValues compares properties of which lists may name their entries
// differently.
func samePropertyValues(a, b *element) bool {
	if len(a.children) != len(b.children) || len(a.children) == 0 && a.text != b.text {
		return false
	}
	for i := range a.children {
		if !samePropertyValues(a.children[i], b.children[i]) {
			return false
		}
	}
	return true
}

func (r jmxReader) assertion(el *element) (Assertion, bool) {
	a := Assertion{}
	switch el.name {
	case "ResponseAssertion":
		if list := el.prop("Asserion.test_strings"); list != nil {
			for _, p := range list.children {
				a.Values = append(a.Values, r.text(p.text))
			}
		}
		switch test, _ := strconv.Atoi(el.value("Assertion.test_type")); {
		case len(a.Values) == 0:
			return a, false
		case el.value("Assertion.test_field") == "Assertion.response_code":
			a.Kind = StatusIs
		case test == testSubstring:
			a.Kind = BodyContains
		case test == testSubstring|testNot:
			a.Kind = BodyContainsNot
		default:
			a.Kind = BodyMatches
		}
	case "JSONPathAssertion":
		a.Kind, a.Values = JSONPathIs, []string{r.text(el.value("JSON_PATH"))}
		if el.isTrue("JSONVALIDATION") {
			a.Values = append(a.Values, r.text(el.value("EXPECTED_VALUE")))
		}
	case "DurationAssertion":
		a.Kind, a.Duration = DurationAtMost, milliseconds(el.value("DurationAssertion.duration"))
	case "SizeAssertion":
		a.Kind = SizeAtLeast
		if el.value("SizeAssertion.operator") == "6" {
			a.Kind = SizeAtMost
		}
		a.Bytes, _ = strconv.ParseInt(el.value("SizeAssertion.size"), 10, 64)
	default:
		return a, false
	}
	return a, covers(renderer{functions: r.functions}.assertion(a), el)
}
