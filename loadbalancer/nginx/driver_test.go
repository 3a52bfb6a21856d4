package nginx

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

func TestRoutes(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path, DrainTime: 100 * time.Millisecond, Workers: 2})
		addr := testutil.FreeAddr(t)
		one := func(name string) loadbalancer.Group {
			return loadbalancer.Group{Name: name, Servers: []loadbalancer.Server{{Address: origin(t, name)}}}
		}
		c := loadbalancer.Config{
			Listeners:   []loadbalancer.Listener{{Address: addr}},
			ServerNames: []string{"a.example", "*.b.example", "127.0.0.1"},
			Groups: []loadbalancer.Group{one("root"), one("api"), one("exact"), one("host"), one("wild"),
				{Name: "none"}, {Name: "down", Servers: []loadbalancer.Server{{Address: "127.0.0.1:1"}}}},
			Routes: []loadbalancer.Route{
				{Group: "root"},
				{Path: "/api/", Group: "api"}, {Path: "/api", Exact: true, Group: "exact"},
				{Path: "/none", Group: "none"}, {Path: "/down", Group: "down"},
				{Host: "a.example", Path: "/api", Group: "host"},
				{Host: "*.b.example", Group: "wild"},
				{Host: "other.example", Group: "wild"},
			},
			Access: loadbalancer.Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustedHops: 1},
		}
		if r := apply(t, dr, c); !r.Changed {
			t.Errorf("result is %+v", r)
		}
		if r := apply(t, dr, c); r.Changed {
			t.Errorf("result of the same again is %+v", r)
		}
		for _, q := range []struct {
			host, path, xff string
			status          int
			begin           string
		}{
			{"", "/", "", 200, "root GET / host="},
			{"", "/x//y%2Fz/../a?q=%20", "", 200, "root GET /x//y%2Fz/../a?q=%20 host="},
			{"", "/api", "", 200, "exact"},
			{"", "/api/x", "", 200, "api"},
			{"", "/apix", "", 200, "root"},
			{"A.example", "/api", "", 200, "host GET /api host=A.example"},
			{"a.example:80", "/x", "", 200, "root GET /x host=a.example:80"},
			{"x.y.b.example", "/api/x", "", 200, "wild"},
			{"b.example", "/", "", 404, ""},
			{"other.example", "/", "", 404, ""},
			{"", "/none", "", 503, ""},
			{"", "/down/x", "", 502, ""},
			{"", "/", "192.0.2.7", 403, ""},
			{"", "/", "192.0.2.7, 198.51.100.9", 200, "root GET / host="},
			{"", "/", "192.0.2.7, what", 403, ""},
		} {
			status, body := get(t, "GET", "http://"+addr+q.path, func(r *http.Request) {
				r.URL.Opaque = "//" + addr + q.path
				r.Host = q.host
				if q.host == "" {
					r.Host = "127.0.0.1"
				}
				if q.xff != "" {
					r.Header.Set("X-Forwarded-For", q.xff)
				}
			})
			if status != q.status || len(body) < len(q.begin) || body[:len(q.begin)] != q.begin {
				t.Errorf("%+v: %d %q", q, status, body)
			}
		}
	})
}
