package export

import (
	"cmp"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/opnfv/clover/clovisor/session"
)

// secrets are the parameters of queries that the conventions want hidden:
// signatures of links that are a password to somebody's storage.
var secrets = map[string]bool{"AWSAccessKeyId": true, "Signature": true, "sig": true, "X-Goog-Signature": true}

const redacted = "REDACTED"

// URL returns the URL that a request asks for, put together from its target
// and host (RFC 9112, 3.3); "" if it has no target. A target with a scheme of
// its own stays, that of CONNECT stands for the host, and "*" for no path.
// Passwords are hidden, and what no URL may contain is percent-encoded.
func URL(s *session.Session) string {
	scheme := cmp.Or(s.Scheme, "http")
	host := s.Host
	if host == "" && s.Server.IsValid() {
		host = s.Server.String()
	}
	var url string
	switch target := s.Target; {
	case target == "":
		return ""
	case strings.HasPrefix(target, "/"):
		url = scheme + "://" + host + target
	case target == "*":
		url = scheme + "://" + host
	case s.Method == http.MethodConnect:
		url = scheme + "://" + target
	default:
		url = target
	}
	return clip(encode(hideQuery(hideUser(url))))
}

// hideUser hides the user of an absolute URL.
func hideUser(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	user := strings.LastIndexByte(rest[:end], '@')
	if user < 0 {
		return url
	}
	return scheme + "://" + redacted + ":" + redacted + rest[user:]
}

// target is a request's target as it was sent, but for what [URL] hides.
func target(s *session.Session) string {
	if !isHTTP(s) {
		return s.Target
	}
	if s.Method == http.MethodConnect {
		return withoutUser(s.Target)
	}
	return hideQuery(hideUser(s.Target))
}

// withoutUser cuts off the user of an authority.
func withoutUser(authority string) string {
	return authority[strings.LastIndexByte(authority, '@')+1:]
}

// hideQuery hides the values of parameters that are secrets.
func hideQuery(url string) string {
	base, query, ok := strings.Cut(url, "?")
	if !ok || !strings.Contains(query, "=") {
		return url
	}
	changed := false
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if name, value, ok := strings.Cut(part, "="); ok && secrets[name] && value != "" {
			parts[i], changed = name+"="+redacted, true
		}
	}
	if !changed {
		return url
	}
	return base + "?" + strings.Join(parts, "&")
}

// encode percent-encodes control characters, spaces and what is not UTF-8.
func encode(url string) string {
	bad := func(r rune, size int) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError && size == 1 }
	clean := true
	for i := 0; i < len(url) && clean; {
		r, size := utf8.DecodeRuneInString(url[i:])
		clean = !bad(r, size)
		i += size
	}
	if clean {
		return url
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(url); {
		r, size := utf8.DecodeRuneInString(url[i:])
		if bad(r, size) {
			b.WriteByte('%')
			b.WriteByte(digits[url[i]>>4])
			b.WriteByte(digits[url[i]&15])
		} else {
			b.WriteString(url[i : i+size])
		}
		i += size
	}
	return b.String()
}

// splitHost splits the host and port that a request asks for.
func splitHost(s *session.Session) (host, port string) {
	authority := s.Host
	if s.Method == http.MethodConnect {
		authority = s.Target
	}
	authority = withoutUser(authority)
	if host, port, err := net.SplitHostPort(authority); err == nil {
		return host, port
	}
	host = strings.Trim(authority, "[]")
	switch cmp.Or(s.Scheme, "http") {
	case "http":
		return host, "80"
	case "https":
		return host, "443"
	}
	return host, ""
}
