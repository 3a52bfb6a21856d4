package tracing

import "strings"

// urlParts are the components of a URL as reported. All are substrings.
type urlParts struct {
	scheme, authority, host, port string
	target                        string // path and query
	path, query                   string
}

// splitURL splits an absolute URL or a path. It accepts anything.
func splitURL(url string) urlParts {
	var p urlParts
	rest := url
	if scheme, after, ok := cutScheme(url); ok {
		p.scheme = scheme
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		p.authority, rest = after[:end], after[end:]
		host := p.authority[strings.LastIndexByte(p.authority, '@')+1:]
		p.host, p.port = splitPort(host)
		p.host = strings.TrimSuffix(strings.TrimPrefix(p.host, "["), "]")
	}
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i]
	}
	p.target = rest
	p.path, p.query, _ = strings.Cut(rest, "?")
	return p
}

// cutScheme splits "scheme://rest" (RFC 3986, 3.1).
func cutScheme(url string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(url, "://")
	if !ok || scheme == "" || !isLetter(scheme[0]) {
		return "", "", false
	}
	for i := range len(scheme) {
		if c := scheme[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
			return "", "", false
		}
	}
	return scheme, rest, true
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

// url reads the URL, or puts it together from its parts, drops the parts that
// it contains, and fills the template.
func (n *normalizer) url() {
	s := n.s
	n.text(&s.URL, nil, keyURLFull, keyHTTPURL)
	if n.attrs.urlParts {
		if s.URL == "" {
			s.URL = n.assembleURL()
		}
		if s.URL != "" {
			n.dropURLParts()
		}
	}
	n.text(&s.URLTemplate, nil, keyRoute, keyURLTemplate)
	if s.URLTemplate == "" {
		s.URLTemplate = Template(s.URL)
	}
}

// assembleURL returns "" unless there is a path.
func (n *normalizer) assembleURL() string {
	x := &n.attrs
	target, _ := x.value(keyHTTPTarget)
	if path, ok := x.value(keyURLPath); ok {
		target = path
		if query, _ := x.value(keyURLQuery); query != "" {
			target += "?" + query
		}
	}
	if !strings.HasPrefix(target, "/") {
		return target // absolute-form, "*", or nothing
	}
	scheme, _ := x.value(keyURLScheme)
	if scheme == "" {
		scheme, _ = x.value(keyHTTPScheme)
	}
	if scheme == "" {
		scheme = "http"
	}
	host := n.authority(scheme)
	if host == "" {
		return target
	}
	return scheme + "://" + host + target
}

// authority finds the host that was asked: the Host header, the server's
// logical address, or what older conventions called so on this side.
func (n *normalizer) authority(scheme string) string {
	if host, _ := n.attrs.value(keyHTTPHost); host != "" {
		return host
	}
	for _, k := range n.serverKeys() {
		host, _ := n.attrs.value(k[0])
		if host == "" {
			continue
		}
		if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			host = "[" + host + "]"
		}
		if port, _ := n.attrs.value(k[1]); port != "" && port != defaultPort(scheme) {
			host += ":" + port
		}
		return host
	}
	return ""
}

// serverKeys are the names of the server's address and port.
func (n *normalizer) serverKeys() [2][2]key {
	older := [2]key{keyNetHostName, keyNetHostPort}
	if n.s.Kind == KindClient {
		older = [2]key{keyNetPeerName, keyNetPeerPort}
	}
	return [2][2]key{{keyServerAddress, keyServerPort}, older}
}

// dropURLParts drops what repeats a part of the URL. A port goes only with
// its address.
func (n *normalizer) dropURLParts() {
	x, p := &n.attrs, splitURL(n.s.URL)
	for _, part := range [...]struct {
		k    key
		want string
	}{
		{keyURLScheme, p.scheme}, {keyHTTPScheme, p.scheme}, {keyURLPath, p.path},
		{keyURLQuery, p.query}, {keyHTTPTarget, p.target}, {keyHTTPHost, p.authority},
	} {
		if v, ok := x.value(part.k); ok && v == part.want {
			x.drop(part.k)
		}
	}
	for _, k := range n.serverKeys() {
		if addr, ok := x.value(k[0]); !ok || addr == "" || addr != p.host {
			continue
		}
		port, ok := x.value(k[1])
		if ok && port != p.port && (p.port != "" || port != defaultPort(p.scheme)) {
			continue
		}
		x.drop(k[0])
		x.drop(k[1])
	}
}
