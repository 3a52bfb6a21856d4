package nginx

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"strconv"
	"strings"
)

// version of nginx, e.g. {1, 26, 3}.
type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// atLeast reports whether v is w or newer.
func (v version) atLeast(w version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] > w[i]
		}
	}
	return true
}

// The versions that brought what the driver uses.
var (
	// hasHTTP2On: the directive http2, and both protocols on one address
	// without TLS.
	hasHTTP2On = version{1, 25, 1}
	// hasTrailers: proxy_pass_trailers.
	hasTrailers = version{1, 27, 2}
	// hasMinTimeout: keepalive_min_timeout.
	hasMinTimeout = version{1, 27, 4}
	// oldest version that the driver is tested with.
	oldest = version{1, 22, 0}
)

// program is an nginx as "nginx -V" describes it.
type program struct {
	path      string
	version   version
	configure string // the arguments that it was built with
}

var versionLine = regexp.MustCompile(`nginx version: \S+/(\d+)\.(\d+)\.(\d+)`)

// inspect asks the program what it is.
func inspect(ctx context.Context, path string) (program, error) {
	out, err := exec.CommandContext(ctx, path, "-V").CombinedOutput()
	if err != nil {
		return program{}, fmt.Errorf("nginx -V: %w: %s", err, bytes.TrimSpace(out))
	}
	return parseProgram(path, string(out))
}

func parseProgram(path, text string) (program, error) {
	m := versionLine.FindStringSubmatch(text)
	if m == nil {
		return program{}, fmt.Errorf("nginx -V of %s names no version: %.200q", path, text)
	}
	p := program{path: path}
	for i := range p.version {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return program{}, fmt.Errorf("nginx -V of %s: %w", path, err)
		}
		p.version[i] = n
	}
	_, p.configure, _ = strings.Cut(text, "configure arguments:")
	if !p.version.atLeast(oldest) {
		return program{}, fmt.Errorf("%s is nginx %s, the driver needs %s or newer", path, p.version, oldest)
	}
	return p, nil
}

var builtUser = regexp.MustCompile(`--user=([^\s']+)`)

// workerUser returns the number of the user that workers run as, or -1 for
// this process's own: only root can have them run as another.
func workerUser(p program, o Options) (int, error) {
	if os.Geteuid() != 0 {
		return -1, nil
	}
	name := "nobody" // nginx's own default
	if m := builtUser.FindStringSubmatch(p.configure); m != nil {
		name = m[1]
	}
	u, err := user.Lookup(cmp.Or(o.User, name))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

// with reports whether an optional module is built in.
func (p program) with(module string) bool {
	return strings.Contains(p.configure, "--with-"+module)
}

// without reports whether a usual module is left out.
func (p program) without(module string) bool {
	return strings.Contains(p.configure, "--without-"+module)
}
