package jmeter

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"
)

type xmlAttr = xml.Attr

// request returns the sampler of a request with what belongs to it alone.
func (r renderer) request(q *Request) *node {
	ms := func(d, otherwise time.Duration) string {
		if d == 0 {
			d = otherwise
		}
		return strconv.FormatInt(d.Milliseconds(), 10)
	}
	path := r.text(q.URL.Path)
	if query := q.fullQuery(r.functions); query != "" {
		path += "?" + query
	}
	el := testElement("HTTPSamplerProxy", "HttpTestSampleGui", r.text(q.Name),
		text("HTTPSampler.domain", r.text(q.URL.Host)), text("HTTPSampler.port", r.text(q.URL.Port)),
		text("HTTPSampler.protocol", r.text(q.URL.Scheme)), text("HTTPSampler.path", path),
		text("HTTPSampler.contentEncoding", "UTF-8"), text("HTTPSampler.method", q.MethodOrGet()),
		flag("HTTPSampler.follow_redirects", !q.NoRedirects), flag("HTTPSampler.auto_redirects", false),
		flag("HTTPSampler.use_keepalive", !q.NoKeepAlive), flag("HTTPSampler.DO_MULTIPART_POST", q.Body.Kind == MultiBody),
		text("HTTPSampler.implementation", "HttpClient4"),
		text("HTTPSampler.connect_timeout", ms(q.ConnectTimeout, DefaultConnectTimeout)),
		text("HTTPSampler.response_timeout", ms(q.Timeout, DefaultTimeout)),
		flag("HTTPSampler.postBodyRaw", q.Body.Kind == RawBody), r.arguments(q.Body))
	if files := r.files(q.Body); len(files) > 0 {
		el.add(object("HTTPsampler.Files", "HTTPFileArgs", collection("HTTPFileArgs.files", files...)))
	}
	n := &node{el: el}
	add := func(el *element) {
		if el != nil {
			n.sub = append(n.sub, &node{el: el})
		}
	}
	add(r.headers(q))
	if q.Basic != nil {
		add(testElement("AuthManager", "AuthPanel", "Authorization",
			collection("AuthManager.auth_list", object("", "Authorization",
				text("Authorization.url", ""), text("Authorization.username", r.text(q.Basic.User)),
				text("Authorization.password", r.text(q.Basic.Password)), text("Authorization.domain", ""),
				text("Authorization.realm", ""))),
			flag("AuthManager.controlledByThreadGroup", false)))
	}
	add(timer(q.Pause))
	for _, x := range q.Extract {
		add(r.extractor(x))
	}
	for _, a := range q.Assertions {
		add(r.assertion(a))
	}
	n.sub = append(n.sub, q.extra...)
	return n
}

// MethodOrGet returns the request's method.
func (q *Request) MethodOrGet() string {
	if q.Method == "" {
		return "GET"
	}
	return q.Method
}

func (r renderer) arguments(b Body) *element {
	var list []*element
	argument := func(name, value string, encode bool) *element {
		el := object(name, "HTTPArgument", flag("HTTPArgument.always_encode", encode),
			text("Argument.value", value), text("Argument.metadata", "="), flag("HTTPArgument.use_equals", true))
		if name != "" {
			el.add(text("Argument.name", name))
		}
		return el
	}
	switch b.Kind {
	case RawBody:
		list = append(list, argument("", r.text(b.Text), false))
	case FormBody, MultiBody:
		for _, f := range b.Fields {
			list = append(list, argument(r.text(f.Name), r.text(f.Value), b.Kind == FormBody))
		}
	}
	args := object("HTTPsampler.Arguments", "Arguments", collection("Arguments.arguments", list...))
	args.attrs = append(args.attrs, attr("guiclass", "HTTPArgumentsPanel"), attr("testclass", "Arguments"),
		attr("testname", "User Defined Variables"), attr("enabled", "true"))
	return args
}

func (r renderer) files(b Body) []*element {
	var files []*element
	file := func(path, field, mime string) {
		files = append(files, object(r.text(path), "HTTPFileArg", text("File.mimetype", r.text(mime)),
			text("File.path", r.text(path)), text("File.paramname", r.text(field))))
	}
	if b.Kind == FileBody {
		file(b.File, "", "")
	}
	for _, f := range b.Files {
		mime := f.Type
		if mime == "" {
			mime = "application/octet-stream"
		}
		file(f.File, f.Field, mime)
	}
	return files
}

// headers returns the element of all headers of a request, nil if none.
func (r renderer) headers(q *Request) *element {
	var list []*element
	add := func(name, value string) {
		list = append(list, object("", "Header", text("Header.name", name), text("Header.value", value)))
	}
	for _, h := range q.Headers {
		add(r.text(h.Name), r.text(h.Value))
	}
	if q.Bearer != "" {
		add("Authorization", "Bearer "+r.text(q.Bearer))
	}
	if len(q.Cookies) > 0 {
		add("Cookie", r.text(CookieHeader(q.Cookies)))
	}
	if r.correlate {
		if !hasHeader(q.Headers, TraceparentHeader) {
			add(TraceparentHeader, traceparentTemplate)
		}
		if !hasHeader(q.Headers, RunIDHeader) {
			add(RunIDHeader, runIDTemplate)
		}
	}
	if list == nil {
		return nil
	}
	return testElement("HeaderManager", "HeaderPanel", "Headers", collection("HeaderManager.headers", list...))
}

func hasHeader(headers []Pair, name string) bool {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

// CookieHeader returns the value of the header of cookies.
func CookieHeader(cookies []Pair) string {
	parts := make([]string, len(cookies))
	for i, c := range cookies {
		parts[i] = c.Name + "=" + c.Value
	}
	return strings.Join(parts, "; ")
}

func (r renderer) extractor(x Extractor) *element {
	common := func(el *element, prefix string) *element {
		return el.add(text(prefix+".default", r.text(x.Default)), flag(prefix+".default_empty_value", x.Default == ""),
			text(prefix+".match_number", "1"))
	}
	switch x.Kind {
	case ByJSONPath:
		return testElement("JSONPostProcessor", "JSONPostProcessorGui", x.Variable,
			text("JSONPostProcessor.referenceNames", x.Variable), text("JSONPostProcessor.jsonPathExprs", r.text(x.Expression)),
			text("JSONPostProcessor.match_numbers", "1"), text("JSONPostProcessor.defaultValues", r.text(x.Default)))
	case ByBoundary:
		return common(testElement("BoundaryExtractor", "BoundaryExtractorGui", x.Variable,
			text("BoundaryExtractor.useHeaders", "false"), text("BoundaryExtractor.refname", x.Variable),
			text("BoundaryExtractor.lboundary", r.text(x.Expression)), text("BoundaryExtractor.rboundary", r.text(x.Right))),
			"BoundaryExtractor")
	}
	where, regex := "false", r.text(x.Expression)
	if x.Kind == ByHeader {
		where, regex = "true", headerRegex(x.Expression)
	}
	return common(testElement("RegexExtractor", "RegexExtractorGui", x.Variable,
		text("RegexExtractor.useHeaders", where), text("RegexExtractor.refname", x.Variable),
		text("RegexExtractor.regex", regex), text("RegexExtractor.template", "$1$")), "RegexExtractor")
}

// headerRegex finds the value of a header; a header's name has no character
// that means something in a regular expression but "." and a few of no use.
func headerRegex(name string) string {
	return "(?im)^" + strings.ReplaceAll(name, ".", `\.`) + `:[ \t]*([^\r\n]*)`
}

// Tests of JMeter's response assertion.
const (
	testContains  = 2
	testNot       = 4
	testEquals    = 8
	testSubstring = 16
	testOr        = 32
)

func (r renderer) assertion(a Assertion) *element {
	response := func(field string, test int, ignoreStatus bool) *element {
		var patterns []*element
		for i, v := range a.Values {
			patterns = append(patterns, text(strconv.Itoa(i), r.text(v)))
		}
		return testElement("ResponseAssertion", "AssertionGui", a.String(), collection("Asserion.test_strings", patterns...),
			text("Assertion.custom_message", ""), text("Assertion.test_field", field),
			flag("Assertion.assume_success", ignoreStatus), number("Assertion.test_type", test))
	}
	size := func(operator int) *element {
		return testElement("SizeAssertion", "SizeAssertionGui", a.String(), text("Assertion.test_field", "SizeAssertion.response_data"),
			text("SizeAssertion.size", strconv.FormatInt(a.Bytes, 10)), number("SizeAssertion.operator", operator))
	}
	switch a.Kind {
	case StatusIs:
		return response("Assertion.response_code", testEquals|testOr, true)
	case BodyContains:
		return response("Assertion.response_data", testSubstring, false)
	case BodyContainsNot:
		return response("Assertion.response_data", testSubstring|testNot, false)
	case BodyMatches:
		return response("Assertion.response_data", testContains, false)
	case JSONPathIs:
		want := ""
		if len(a.Values) > 1 {
			want = r.text(a.Values[1])
		}
		return testElement("JSONPathAssertion", "JSONPathAssertionGui", a.String(),
			text("JSON_PATH", r.text(a.Values[0])), text("EXPECTED_VALUE", want), flag("JSONVALIDATION", len(a.Values) > 1),
			flag("EXPECT_NULL", false), flag("INVERT", false), flag("ISREGEX", false))
	case DurationAtMost:
		return testElement("DurationAssertion", "DurationAssertionGui", a.String(),
			text("DurationAssertion.duration", strconv.FormatInt(a.Duration.Milliseconds(), 10)))
	case SizeAtMost:
		return size(6)
	}
	return size(5)
}

// String names the assertion without what it compares with, which may be long
// or secret.
func (a Assertion) String() string {
	switch a.Kind {
	case StatusIs:
		return "status"
	case BodyContains:
		return "body contains"
	case BodyContainsNot:
		return "body does not contain"
	case BodyMatches:
		return "body matches"
	case JSONPathIs:
		return "JSON path"
	case DurationAtMost:
		return fmt.Sprintf("at most %v", a.Duration)
	case SizeAtMost:
		return fmt.Sprintf("at most %d bytes", a.Bytes)
	}
	return fmt.Sprintf("at least %d bytes", a.Bytes)
}

func (r renderer) controller(c *Controller) *element {
	name := r.text(c.Name)
	switch c.Kind {
	case IfController:
		return testElement("IfController", "IfControllerPanel", name, text("IfController.condition", c.Condition.jexl()),
			flag("IfController.evaluateAll", false), flag("IfController.useExpression", true))
	case LoopController:
		return testElement("LoopController", "LoopControlPanel", name,
			flag("LoopController.continue_forever", true), text("LoopController.loops", strconv.Itoa(c.Count)))
	case OnceController:
		return testElement("OnceOnlyController", "OnceOnlyControllerGui", name)
	case TransactionMeasure:
		return testElement("TransactionController", "TransactionControllerGui", name,
			flag("TransactionController.includeTimers", false), flag("TransactionController.parent", false))
	}
	style := 1
	if c.Count > 0 {
		style = 0
	}
	share := &element{name: "FloatProperty", children: []*element{
		{name: "name", text: "ThroughputController.percentThroughput"},
		{name: "value", text: strconv.FormatFloat(c.Percent, 'f', -1, 32)}, {name: "savedValue", text: "0.0"},
	}}
	return testElement("ThroughputController", "ThroughputControllerGui", name, number("ThroughputController.style", style),
		flag("ThroughputController.perThread", c.PerUser), number("ThroughputController.maxThroughput", c.Count), share)
}

// jexl returns the condition as JMeter's expression. What it compares with is
// written in escapes only, so that nothing of it can mean anything.
func (c Condition) jexl() string {
	variable := `vars.get("` + jexlText(c.Variable) + `")`
	switch c.Operator {
	case NotEquals:
		return "${__jexl3((" + variable + ` ?: "") != "` + jexlText(c.Value) + `",)}`
	case Matches:
		return "${__jexl3((" + variable + ` ?: "") =~ "` + jexlText(c.Value) + `",)}`
	case IsSet:
		return "${__jexl3(" + variable + " != null,)}"
	}
	return "${__jexl3((" + variable + ` ?: "") == "` + jexlText(c.Value) + `",)}`
}

func jexlText(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-', c == ' ':
			b.WriteRune(c)
		case c > 0xFFFF:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+c>>10, 0xDC00+c&0x3FF)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}
