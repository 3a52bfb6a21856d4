package nginx

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// upstreamPrefix keeps the names of groups apart from host names.
const upstreamPrefix = "clover-"

// idleConnections is how many idle connections to the servers of a group each
// worker keeps.
const idleConnections = 64

// usable reports whether a group has a server that may get requests.
func usable(g loadbalancer.Group) bool {
	for _, s := range g.Servers {
		if s.State == loadbalancer.Up {
			return true
		}
	}
	return false
}

// upstream is a group.
func upstream(g loadbalancer.Group) conf.Directive {
	// Memory that the workers share, so that they choose as one.
	size := 128 + 2*len(g.Servers)
	list := []conf.Directive{d("zone", upstreamPrefix+g.Name, strconv.Itoa(size)+"k")}
	switch g.Method {
	case loadbalancer.LeastConnections:
		list = append(list, d("least_conn"))
	case loadbalancer.RandomTwoChoices:
		list = append(list, d("random", "two", "least_conn"))
	case loadbalancer.Hash:
		list = append(list, d("hash", hashKey(g), "consistent"))
	}
	onlyBackups := true
	for _, s := range g.Servers {
		onlyBackups = onlyBackups && (s.Backup || s.State != loadbalancer.Up)
	}
	for _, s := range g.Servers {
		if onlyBackups && s.State != loadbalancer.Up {
			continue // or nginx would miss a server that is no backup
		}
		list = append(list, server(g, s, onlyBackups))
	}
	list = append(list, d("keepalive", strconv.Itoa(idleConnections)), d("keepalive_timeout", "4s"))
	return b("upstream", words(upstreamPrefix+g.Name), list...)
}

// server is a server of a group. A reload lets requests under way end, so
// that one that drains is one that is down for new workers.
func server(g loadbalancer.Group, s loadbalancer.Server, noBackups bool) conf.Directive {
	args := []string{s.Address}
	if s.Weight != 1 {
		args = append(args, "weight="+strconv.Itoa(s.Weight))
	}
	args = append(args, "max_fails="+strconv.Itoa(max(0, g.Failures.Max)), "fail_timeout="+seconds(g.Failures.Window))
	if s.MaxConnections > 0 {
		args = append(args, "max_conns="+strconv.Itoa(s.MaxConnections))
	}
	if s.State != loadbalancer.Up {
		args = append(args, "down")
	}
	if s.Backup && !noBackups {
		args = append(args, "backup")
	}
	return d("server", args...)
}

// hashKey is the text that a group hashes.
func hashKey(g loadbalancer.Group) string {
	switch g.Hash.Source {
	case loadbalancer.HashHeader:
		return "$http_" + strings.ToLower(strings.ReplaceAll(g.Hash.Name, "-", "_"))
	case loadbalancer.HashCookie:
		return cookieVariable(g)
	case loadbalancer.HashURI:
		return "$request_uri"
	default:
		return "$clover_client"
	}
}

// cookieVariable is named by the group, whose name may hold what a variable's
// may not.
func cookieVariable(g loadbalancer.Group) string {
	return fmt.Sprintf("$clover_cookie_%x", g.Name)
}

// hashMap reads the cookie that a group hashes; nginx's own variables know
// no cookie with "-" in its name.
func hashMap(g loadbalancer.Group) []conf.Directive {
	if g.Method != loadbalancer.Hash || g.Hash.Source != loadbalancer.HashCookie {
		return nil
	}
	return []conf.Directive{b("map", words("$http_cookie", cookieVariable(g)),
		d("default", ""),
		d("~(?:^|;)\\s*"+quoteRegexp(g.Hash.Name)+"=([^;]*)", "$1"),
	)}
}

// pass sends requests to a group.
func pass(g loadbalancer.Group, c loadbalancer.Config) []conf.Directive {
	if !usable(g) {
		return []conf.Directive{d("return", "503")}
	}
	module, scheme := "proxy", "http://"
	if g.Protocol == loadbalancer.H2C {
		module, scheme = "grpc", "grpc://"
	}
	list := []conf.Directive{
		d(module+"_pass", scheme+upstreamPrefix+g.Name),
		d(module+"_connect_timeout", milliseconds(g.ConnectTimeout)),
		d(module+"_read_timeout", milliseconds(g.ResponseTimeout)),
		d(module+"_send_timeout", milliseconds(g.ResponseTimeout)),
		d(module+"_next_upstream_tries", strconv.Itoa(g.Tries)),
	}
	return append(list, mirror(g, c.Mirror)...)
}
