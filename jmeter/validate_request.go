package jmeter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (v *validator) request(key string, g *Group, q *Request) {
	v.plain(key+".name", q.Name)
	if q.source != nil { // what JMeter has written may be more than we take
		v.plain(key, q.URL.String()+q.Body.Text+q.Body.File)
		return
	}
	v.url(key, q)
	method := q.MethodOrGet()
	if !slices.Contains(methods, method) {
		v.fault(key+".method", "%q; want one of %s", method, strings.Join(methods, ", "))
	}
	for i, p := range q.Query {
		v.plain(fmt.Sprintf("%s.query[%d]", key, i), p.Name+p.Value)
	}
	v.headers(key, g, q)
	v.body(key, method, q.Body)
	v.between(key+".timeout", q.Timeout, 0, time.Hour)
	v.between(key+".connect_timeout", q.ConnectTimeout, 0, time.Hour)
	v.pause(key+".think_time", q.Pause)
	for i, x := range q.Extract {
		v.extractor(fmt.Sprintf("%s.extract[%d]", key, i), x)
	}
	for i, a := range q.Assertions {
		v.assertion(fmt.Sprintf("%s.assert[%d]", key, i), a)
	}
}

func (v *validator) url(key string, q *Request) {
	u, err := ParseURL(q.URL.String(), v.functions)
	switch {
	case err != nil:
		v.fault(key+".url", "%v", err)
	case u != q.URL:
		v.fault(key+".url", "%q is not encoded; use ParseURL", q.URL)
	}
}

// reserved are headers that both ends compute.
var reserved = []string{"content-length", "transfer-encoding", "connection", "host"}

func (v *validator) headers(key string, g *Group, q *Request) {
	for _, h := range q.Headers {
		at := key + ".headers." + h.Name
		if !tokenName.MatchString(h.Name) {
			v.fault(at, "%q is no name of a header", h.Name)
		}
		if slices.Contains(reserved[:3], strings.ToLower(h.Name)) {
			v.fault(at, "is set from the body and keep_alive")
		}
		if why := badHeader(h.Value); why != "" {
			v.fault(at, "%s", why)
		}
	}
	authorizations := 0
	if q.Basic != nil {
		authorizations++
		v.header(key+".basic_auth", q.Basic.User+q.Basic.Password)
		if strings.IndexFunc(q.Basic.User+q.Basic.Password, func(c rune) bool { return c > '~' }) >= 0 {
			v.fault(key+".basic_auth", "a character beyond ASCII, for which servers differ; want a header Authorization")
		}
		if strings.Contains(q.Basic.User, ":") {
			v.fault(key+".basic_auth.user", "a colon; it ends the name")
		}
	}
	if q.Bearer != "" {
		authorizations++
		v.header(key+".bearer", q.Bearer)
	}
	if hasHeader(q.Headers, "Authorization") {
		authorizations++
	}
	if authorizations > 1 {
		v.fault(key, "more than one of basic_auth, bearer and a header Authorization; want one")
	}
	for _, c := range q.Cookies {
		at := key + ".cookies." + c.Name
		if !tokenName.MatchString(c.Name) || strings.ContainsAny(c.Value, ";, \"\\") {
			v.fault(at, "a name or value that no cookie has")
		}
		v.header(at, c.Value)
	}
	if len(q.Cookies) > 0 && (g.CookieJar || hasHeader(q.Headers, "Cookie")) {
		v.fault(key+".cookies", "given beside cookie_jar or a header Cookie; want one of them")
	}
}

func (v *validator) header(key, s string) {
	if why := badHeader(s); why != "" {
		v.fault(key, "%s", why)
	}
}

func (v *validator) body(key, method string, b Body) {
	if b.Kind != NoBody && !takesBody(method) && method != "DELETE" {
		v.fault(key+".method", "%s has no body; want POST, PUT or PATCH", method)
	}
	if (b.Kind == MultiBody || b.Kind == FormBody) && !takesBody(method) {
		v.fault(key+".method", "%s has no form; want POST, PUT or PATCH", method)
	}
	if b.Kind == MultiBody && method != "POST" {
		v.fault(key+".multipart", "JMeter sends it by POST only")
	}
	if len(b.Text) > MaxBodyBytes {
		v.fault(key+".body", "%d bytes; at most %d; put it into a file and use body_file", len(b.Text), MaxBodyBytes)
	}
	v.plain(key+".body", b.Text)
	v.plain(key+".body_file", b.File)
	for _, f := range b.Fields {
		v.plain(key+".form."+f.Name, f.Name+f.Value)
		if f.Name == "" {
			v.fault(key+".form", "a field without a name")
		}
		if b.Kind == MultiBody {
			v.header(key+".multipart."+f.Name, f.Name)
		}
	}
	for i, f := range b.Files {
		at := fmt.Sprintf("%s.multipart.files[%d]", key, i)
		v.header(at, f.Field+f.File+f.Type)
		if f.Field == "" || f.File == "" {
			v.fault(at, "want {field: NAME, file: PATH}")
		}
	}
}

func (v *validator) extractor(key string, x Extractor) {
	if !variableName.MatchString(x.Variable) {
		v.fault(key+".variable", "%q; want a name of letters, digits, '_', '.' and '-'", x.Variable)
	}
	v.plain(key, x.Expression+x.Right+x.Default)
	switch x.Kind {
	case ByJSONPath:
		v.jsonPath(key+".json", x.Expression)
	case ByRegexp:
		v.regexp(key+".regexp", x.Expression, 1)
	case ByHeader:
		if !headerName.MatchString(x.Expression) {
			v.fault(key+".header", "%q; want the name of a header", x.Expression)
		}
	case ByBoundary:
		if x.Expression == "" || x.Right == "" {
			v.fault(key, "want boundary: {left: TEXT, right: TEXT}")
		}
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func (v *validator) assertion(key string, a Assertion) {
	for _, s := range a.Values {
		v.plain(key, s)
	}
	switch a.Kind {
	case StatusIs:
		for _, s := range a.Values {
			if n := len(s); n != 3 || strings.Trim(s, "0123456789") != "" {
				v.fault(key+".status", "%q; want a number such as 200", s)
			}
		}
		if len(a.Values) == 0 {
			v.fault(key+".status", "empty; want a number such as 200")
		}
	case BodyContains, BodyContainsNot:
		if len(a.Values) != 1 || a.Values[0] == "" {
			v.fault(key+".body_contains", "want one text")
		}
	case BodyMatches:
		if len(a.Values) != 1 {
			v.fault(key+".body_matches", "want one regular expression")
			return
		}
		v.regexp(key+".body_matches", a.Values[0], 0)
	case JSONPathIs:
		if len(a.Values) < 1 || len(a.Values) > 2 {
			v.fault(key+".json", "want a path and, if it matters, a value")
			return
		}
		v.jsonPath(key+".json", a.Values[0])
	case DurationAtMost:
		v.between(key+".max_duration", a.Duration, time.Millisecond, time.Hour)
	case SizeAtMost, SizeAtLeast:
		if a.Bytes < 0 {
			v.fault(key, "%d bytes; want 0 or more", a.Bytes)
		}
	}
}

// regexp checks an expression that has no variables in it. Only what Go's
// syntax and Java's have in common is taken, so that all runners agree.
func (v *validator) regexp(key, s string, groups int) {
	if strings.Contains(s, "${") {
		return
	}
	re, err := regexp.Compile(s)
	if err != nil {
		v.fault(key, "%v", err)
		return
	}
	if re.NumSubexp() < groups {
		v.fault(key, "no group; want what is to be extracted in ( )")
	}
}

func (v *validator) jsonPath(key, s string) {
	if strings.ContainsAny(s, ";") {
		v.fault(key, "%q; want one path", s)
	}
	if _, err := ParseJSONPath(s); err != nil && !strings.Contains(s, "${") {
		v.fault(key, "%v", err)
	}
}
