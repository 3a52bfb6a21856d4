package tracing

import "strings"

// Template returns the path of a URL, or of a path, with the segments that
// name one thing among many replaced, so that requests of one kind fall
// together: "http://shop/orders/4711?x=1" gives "/orders/{id}".
//
//   - {id}: numbers, UUIDs, hexadecimal strings of 8 digits or more, and
//     tokens that look random (ULIDs, base64 of 16 characters or more)
//   - {date}: 2006-01-02, with or without a time
//   - {email}: an address
//
// A file's extension stays ("{id}.png"). Scheme, host, query, fragment and
// matrix parameters (";jsessionid=…") are left away. The root is "/"; an
// empty URL gives "". Template(Template(u)) is Template(u).
func Template(url string) string {
	if url == "" {
		return ""
	}
	path := splitURL(url).path
	if path == "" {
		return "/"
	}
	var b strings.Builder
	copied := 0 // path[:copied] is in b
	for start := 0; start <= len(path); {
		end := start + segmentLen(path[start:])
		if with, cut := templateSegment(path[start:end]); cut > 0 {
			b.WriteString(path[copied:start])
			b.WriteString(with)
			copied = start + cut
		}
		start = end + 1
	}
	if copied == 0 {
		return path
	}
	b.WriteString(path[copied:])
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

func segmentLen(s string) int {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return i
	}
	return len(s)
}

// templateSegment returns what to put in the place of segment[:cut];
// cut is 0 when the segment stays as it is.
func templateSegment(segment string) (with string, cut int) {
	body := segment
	if i := strings.IndexByte(segment, ';'); i >= 0 {
		body = segment[:i]
	}
	if name := placeholder(body); name != "" {
		return name, len(segment)
	}
	if stem, ext := splitExtension(body); ext != "" {
		if name := placeholder(stem); name != "" {
			if len(body) == len(segment) {
				return name, len(stem)
			}
			return name + ext, len(segment)
		}
	}
	if len(body) < len(segment) {
		return body, len(segment)
	}
	return "", 0
}

// splitExtension splits "123.png" where the extension is one to five letters
// or digits beginning with a letter.
func splitExtension(s string) (stem, ext string) {
	i := strings.LastIndexByte(s, '.')
	if i <= 0 || len(s)-i-1 < 1 || len(s)-i-1 > 5 || !isLetter(s[i+1]) {
		return s, ""
	}
	for j := i + 1; j < len(s); j++ {
		if !isLetter(s[j]) && !isDigit(s[j]) {
			return s, ""
		}
	}
	return s[:i], s[i:]
}

func placeholder(s string) string {
	var digits, hexLetters, upper, lower, other, turns int
	var at int // '@' or its escape
	for i := range len(s) {
		c := s[i]
		switch {
		case isDigit(c):
			digits++
			if i > 0 && isLetter(s[i-1]) {
				turns++
			}
		case isLetter(c):
			if c >= 'a' {
				lower++
			} else {
				upper++
			}
			if c|0x20 <= 'f' {
				hexLetters++
			}
			if i > 0 && isDigit(s[i-1]) {
				turns++
			}
		case c == '@':
			at++
			other++
		case c == '-' || c == '_' || c == '=' || c == '+':
		case c == '%' && strings.HasPrefix(s[i:], "%40"):
			at++
			other++
		default:
			other++
		}
	}
	switch {
	case at == 1 && isEmail(s):
		return "{email}"
	case digits == 0:
		return ""
	case digits == len(s):
		return "{id}"
	case isDate(s):
		return "{date}"
	case isUUID(s), isHex(s, digits, hexLetters):
		return "{id}"
	case other == 0 && len(s) >= 16 && turns >= 3 && isMixed(s, digits, upper, lower):
		return "{id}"
	}
	return ""
}

// isMixed tells a random token from words with numbers between them: either
// both cases beside digits in one word, or a long word of one case.
func isMixed(s string, digits, upper, lower int) bool {
	words := strings.Count(s, "-") + strings.Count(s, "_")
	if upper > 1 && lower > 1 {
		return words <= len(s)/10
	}
	return words == 0 && len(s) >= 20 && digits >= 3
}

// isHex takes eight hexadecimal digits or more for an identifier, if some of
// them are decimal.
func isHex(s string, digits, hexLetters int) bool {
	return len(s) >= 8 && digits+hexLetters == len(s)
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
			continue
		}
		if c := s[i]; !isDigit(c) && (!isLetter(c) || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// isDate accepts YYYY-MM-DD, alone or followed by "T" and a time.
func isDate(s string) bool {
	if len(s) < 10 || len(s) > 10 && s[10] != 'T' {
		return false
	}
	for i := range 10 {
		if i == 4 || i == 7 {
			if s[i] != '-' {
				return false
			}
		} else if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func isEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		local, domain, _ = strings.Cut(s, "%40")
	}
	dot := strings.LastIndexByte(domain, '.')
	return local != "" && dot > 0 && dot < len(domain)-1 && !strings.Contains(domain, "%40")
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
