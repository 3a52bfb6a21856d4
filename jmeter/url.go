package jmeter

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// URL is where a request goes. Its texts may hold variables, and what has to
// be percent-encoded in them is.
type URL struct {
	Scheme string // http or https, or a variable
	Host   string
	Port   string // "": the scheme's
	Path   string // begins with "/"
	Query  string // without "?", encoded
}

// String returns the URL.
func (u URL) String() string {
	s := u.Scheme + "://" + u.Authority() + u.Path
	if u.Query != "" {
		s += "?" + u.Query
	}
	return s
}

// Authority returns HOST or HOST:PORT.
func (u URL) Authority() string {
	if u.Port == "" {
		return u.Host
	}
	return u.Host + ":" + u.Port
}

// ParseURL reads a URL that may lack its scheme (then it is http), port, path
// and query. With functions, JMeter's functions may be in it.
func ParseURL(text string, functions bool) (URL, error) {
	if !functions { // a brace that belongs to no reference is data
		text = encodeParts(text, escapeBraces)
	}
	u := URL{Scheme: "http"}
	rest := strings.TrimSpace(text)
	if scheme, after, ok := strings.Cut(rest, "://"); ok && splitOutside(scheme, "/?#") < 0 {
		u.Scheme, rest = scheme, after
		if lower := strings.ToLower(scheme); !strings.Contains(scheme, "${") {
			if lower != "http" && lower != "https" {
				return URL{}, fmt.Errorf("scheme %q; want http or https", scheme)
			}
			u.Scheme = lower
		}
	}
	if i := splitOutside(rest, "#"); i >= 0 {
		rest = rest[:i] // a fragment is never sent
	}
	if i := splitOutside(rest, "?"); i >= 0 {
		rest, u.Query = rest[:i], encodeParts(rest[i+1:], EscapeQuery)
	}
	authority, path := rest, ""
	if i := splitOutside(rest, "/"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	u.Path = encodeParts(path, EscapePath)
	if u.Path == "" {
		u.Path = "/"
	}
	return u, u.authority(authority)
}

// authority takes the host and the port apart.
func (u *URL) authority(text string) error {
	if strings.ContainsRune(text, '@') {
		return fmt.Errorf("a password in the URL; want the key basic_auth")
	}
	u.Host = text
	end := 0
	if strings.HasPrefix(text, "[") {
		if end = strings.IndexByte(text, ']'); end < 0 {
			return fmt.Errorf("%q; want ] at the end of the address", text)
		}
	}
	if i := splitOutside(text[end:], ":"); i >= 0 {
		u.Host, u.Port = text[:end+i], text[end+i+1:]
	}
	switch {
	case u.Host == "":
		return fmt.Errorf("no host; want e.g. http://proxy-access-control.default:9180/path")
	case strings.ContainsAny(reference.ReplaceAllString(u.Host, ""), " <>\"'{}|\\^`%,;\t\r\n") && !strings.Contains(u.Host, "${__"):
		return fmt.Errorf("host %q has characters that no host's name has", u.Host)
	case u.Port != "" && !strings.Contains(u.Port, "${"):
		if n, err := strconv.Atoi(u.Port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port %q; want 1 to 65535", u.Port)
		}
	}
	return nil
}

// encodeParts applies an escape to what is no reference or function.
func encodeParts(s string, escape func(string) string) string {
	if !strings.Contains(s, "${") {
		return escape(s)
	}
	var b strings.Builder
	for _, p := range splitText(s) {
		if p.variable != "" {
			b.WriteString("${" + p.variable + "}")
			continue
		}
		b.WriteString(escape(p.literal))
	}
	return b.String()
}

var braces = strings.NewReplacer("{", "%7B", "}", "%7D")

func escapeBraces(s string) string { return braces.Replace(s) }

// EscapePath percent-encodes what a path may not hold.
func EscapePath(s string) string { return escapeExcept(s, "!$&'()*+,-./:;=@_~") }

// EscapeQuery percent-encodes what a query may not hold.
func EscapeQuery(s string) string { return escapeExcept(s, "!$&'()*+,-./:;=@_~?") }

// escapeExcept percent-encodes all bytes but letters, digits, the given ones
// and encodings that are there already. Functions are left alone.
func escapeExcept(s, keep string) string {
	var b strings.Builder
	b.Grow(len(s))
	depth := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case strings.HasPrefix(s[i:], "${__"):
			depth++
			b.WriteString("${")
			i++
		case depth > 0:
			if c == '}' {
				depth--
			}
			b.WriteByte(c)
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// fullQuery is the query of the URL with the request's own, as JMeter takes it.
func (q *Request) fullQuery(functions bool) string {
	query := jmeterText(q.URL.Query, functions)
	for _, p := range q.Query {
		if query != "" {
			query += "&"
		}
		query += encodeForJMeter(p.Name, functions) + "=" + encodeForJMeter(p.Value, functions)
	}
	return query
}

// encodeForJMeter encodes a value of a query; JMeter does that to variables.
func encodeForJMeter(s string, functions bool) string {
	if functions && strings.Contains(s, "${__") {
		return "${__urlencode(" + s + ")}"
	}
	var b strings.Builder
	for _, p := range splitText(s) {
		if p.variable != "" {
			b.WriteString("${__urlencode(${" + p.variable + "})}")
			continue
		}
		b.WriteString(url.QueryEscape(p.literal))
	}
	return b.String()
}
