package envoymesh

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// frontTimeout is what the front proxy allows the route /timeout: time enough
// for a request to come to the end of the chain on a busy machine.
const frontTimeout = 3 * time.Second

// destination is a service as a proxy sees it from outside.
type destination struct {
	service string // "http-lb.default"
	port    int    // the service's own port, which names carry
	at      string // where it really is
}

// host is the service's full name.
func (d destination) host() string { return d.service + ".svc.cluster.local" }

// cluster is the destination as an outbound cluster of Istio.
func (d destination) cluster() cluster {
	return cluster{name: "outbound|" + strconv.Itoa(d.port) + "||" + d.host(), at: d.at}
}

// operation is what Istio has the spans to the destination say.
func (d destination) operation() string { return d.host() + ":" + strconv.Itoa(d.port) + "/*" }

// sidecar is a service with its proxy.
type sidecar struct {
	service, revision string
	app               string // where the service itself listens
	port              int
	upstream          destination // what the service calls, if anything
}

// sidecar starts the proxy of a service: an inbound listener in front of the
// service and, if it calls another, an outbound one.
func (m *Mesh) sidecar(p ports, s sidecar) *Proxy {
	m.t.Helper()
	self := destination{service: s.service, port: s.port}
	port := strconv.Itoa(s.port)
	in := cluster{name: "inbound|" + port + "||", at: s.app}
	b := bootstrap{
		service: s.service, revision: s.revision, role: "sidecar", admin: p.admin,
		options:  m.options,
		clusters: []cluster{in},
		listeners: []listener{{
			name: "virtualInbound", direction: "INBOUND", port: p.inbound, namedPort: s.port,
			routes: []route{{prefix: "/", cluster: in.name, operation: self.operation()}},
		}},
	}
	if s.upstream.at != "" {
		out := s.upstream.cluster()
		b.clusters = append(b.clusters, out)
		b.listeners = append(b.listeners, listener{
			name: "0.0.0.0_" + strconv.Itoa(s.upstream.port), direction: "OUTBOUND",
			port: p.outbound, namedPort: s.upstream.port,
			routes: []route{{prefix: "/", cluster: out.name, operation: s.upstream.operation()}},
		})
	}
	return m.start(b)
}

// gateway starts the front proxy, with the routes of the package's comment.
func (m *Mesh) gateway(p ports, first, mirror string) *Proxy {
	m.t.Helper()
	access := destination{service: AccessProxy, port: 9180, at: first}
	ids := destination{service: Detector, port: 80, at: mirror}
	nobody := destination{service: "nobody.default", port: 9180, at: testutil.FreeAddr(m.t)}
	to := func(prefix string, d destination) route {
		return route{prefix: prefix, cluster: d.cluster().name, operation: d.operation()}
	}
	mirrored := to("/mirror", access)
	mirrored.mirror = ids.cluster().name
	denied := to("/denied", access)
	denied.direct = http.StatusForbidden
	short := to("/timeout", access)
	short.timeout = frontTimeout
	return m.start(bootstrap{
		service: Gateway, revision: "latest", role: "router", admin: p.admin, options: m.options,
		clusters: []cluster{access.cluster(), ids.cluster(), nobody.cluster()},
		listeners: []listener{{
			name: "0.0.0.0_8080", direction: "OUTBOUND", port: p.inbound, namedPort: 8080, edge: true,
			routes: []route{mirrored, denied, short, to("/unreachable", nobody), to("/", access)},
		}},
	})
}

// nameOf and namespaceOf take a service's name apart.
func nameOf(service string) string { name, _, _ := strings.Cut(service, "."); return name }

func namespaceOf(service string) string { _, ns, _ := strings.Cut(service, "."); return ns }

// podOf is the pod of a service, named as a Deployment would.
func podOf(service string) string { return nameOf(service) + "-6f6bcdddbd-h2lc9" }
