package control

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Limits of what one request may hold.
const (
	maxServers   = 256
	maxAddresses = 1024
	maxLocations = 64
	maxFiles     = 256
)

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$`)
	urlPath  = regexp.MustCompile(`^/[A-Za-z0-9._~!&'()*+,;=:@%/-]{0,999}$`)
	filePath = regexp.MustCompile(`^[A-Za-z0-9._~@%+=,/-]{1,1000}$`)
)

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Target reads HOST:PORT or http://HOST:PORT/, as users write the end of a
// connection, and returns HOST:PORT.
func Target(text string) (string, error) {
	target := strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/")
	host, port, err := net.SplitHostPort(target)
	if err != nil || !validHost(host) || !validPort(port) {
		return "", invalidf("%q is not HOST:PORT", text)
	}
	return target, nil
}

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// optional checks a field that may be empty.
func optional(field, value string, ok func(string) bool) error {
	if value == "" || ok(value) {
		return nil
	}
	return invalidf("%s: %q is not allowed there", field, value)
}

// validPath accepts a clean absolute URL path.
func validPath(p string) bool {
	return urlPath.MatchString(p) && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}

// validFile accepts a clean name of a file, absolute or not.
func validFile(name string) bool {
	return filePath.MatchString(name) && path.Clean(name) == name && name != "/" && name != "." &&
		!strings.HasPrefix(name, "..")
}

// Try is what a location tries in order, and what it ends with.
type Try struct {
	URI    bool // the file that the URI names
	Paths  []string
	Status int // the answer if nothing is there; 0: the site's own content
}

// tryName is a named location, which for the built-in server is its own
// content.
var tryName = regexp.MustCompile(`^@[A-Za-z0-9_]{1,64}$`)

// ParseTry reads the one directive that a location may have: try_files.
func ParseTry(text string) (Try, error) {
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(text), ";"))
	if len(words) < 2 || len(words) > 9 || words[0] != "try_files" {
		return Try{}, invalidf("directive %q: write try_files, then one to eight of $uri, $uri/, /PATH, @NAME, =CODE", text)
	}
	var t Try
	for i, w := range words[1:] {
		last := i == len(words)-2
		switch {
		case w == "$uri" || w == "$uri/":
			t.URI = true
		case tryName.MatchString(w) && last:
		case strings.HasPrefix(w, "=") && last:
			code, err := strconv.Atoi(w[1:])
			if err != nil || code < 400 || code > 599 {
				return Try{}, invalidf("directive %q: %s is not =400 to =599", text, w)
			}
			t.Status = code
		case validPath(w):
			t.Paths = append(t.Paths, w)
		default:
			return Try{}, invalidf("directive %q: %s is not one of $uri, $uri/, /PATH, and at the end @NAME or =CODE", text, w)
		}
	}
	return t, nil
}
