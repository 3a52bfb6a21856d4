package loadbalancer

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// The grammar of each kind of text. All are allow lists: what a program's
// configuration could take for syntax is in none of them.
var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)
	label        = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	tokenPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	pathPattern  = regexp.MustCompile(`^/[A-Za-z0-9._~!&()*+,=:@/-]*$`)
	filePattern  = regexp.MustCompile(`^[A-Za-z0-9._~@+=,/-]+$`)
	namedPattern = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)
	portPattern  = regexp.MustCompile(`^[0-9]{1,5}$`)
)

// maxPath bounds paths and names of files.
const maxPath = 1024

// clip bounds what a message repeats of what somebody wrote.
func clip(text string) string {
	const limit = 80
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// trimSlash takes a slash at the end off, also the only one.
func trimSlash(p string) string { return strings.TrimSuffix(p, "/") }

// checkName checks the name of a group or site.
func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%q; want letters, digits, '-', '_' and '.'", clip(name))
	}
	return nil
}

// checkHost checks a host name or IP address.
func checkHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return fmt.Errorf("%q; an address with a zone is not possible", clip(host))
		}
		return nil
	}
	if len(host) > 253 {
		return fmt.Errorf("%q; a host name has at most 253 characters", clip(host))
	}
	for part := range strings.SplitSeq(host, ".") {
		if !label.MatchString(part) {
			return fmt.Errorf("%q is no host name or IP address", clip(host))
		}
	}
	return nil
}

// checkNamePattern checks a host name that may begin with "*.".
func checkNamePattern(name string) error {
	if err := checkHost(strings.TrimPrefix(name, "*.")); err != nil {
		return fmt.Errorf("%q; want a host name, or *. and a host name", clip(name))
	}
	return nil
}

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !portPattern.MatchString(port) {
		return fmt.Errorf("port %q; want 1 to 65535", clip(port))
	}
	return nil
}

// checkAddress checks HOST:PORT.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q; want HOST:PORT, e.g. clover-server4:9180", clip(address))
	}
	if err := checkHost(host); err != nil {
		return err
	}
	return checkPort(port)
}

// checkToken checks the name of a header or cookie.
func checkToken(name string) error {
	if !tokenPattern.MatchString(name) {
		return fmt.Errorf("%q; want letters, digits, '-' and '_'", clip(name))
	}
	return nil
}

// checkPath checks an absolute path of a URL in its decoded form.
func checkPath(p string) error {
	if len(p) > maxPath || !pathPattern.MatchString(p) {
		return fmt.Errorf("%q; want a path that begins with / and holds letters, digits and ._~!&()*+,=:@/-", clip(p))
	}
	if clean := path.Clean(p); clean != p && clean+"/" != p {
		return fmt.Errorf("%q; want a path without \"//\", \".\" and \"..\", e.g. %q", clip(p), clip(clean))
	}
	return nil
}

// checkFile checks the name of a file, absolute or not.
func checkFile(name string) error {
	if len(name) > maxPath || !filePattern.MatchString(name) {
		return fmt.Errorf("%q; want the name of a file of letters, digits and ._~@+=,/-", clip(name))
	}
	if path.Clean(name) != name || name == "/" || name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Errorf("%q; want a name without \"//\", \".\" and \"..\"", clip(name))
	}
	return nil
}

// checkFileName checks the name of a file without a folder.
func checkFileName(name string) error {
	if strings.Contains(name, "/") {
		return fmt.Errorf("%q; want a name without a folder", clip(name))
	}
	return checkFile(name)
}

// checkAbsolute checks the absolute name of a file or folder.
func checkAbsolute(name string) error {
	if !strings.HasPrefix(name, "/") {
		return fmt.Errorf("%q; want a path that begins with /", clip(name))
	}
	return checkFile(strings.TrimSuffix(name, "/"))
}
