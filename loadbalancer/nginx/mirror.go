package nginx

import (
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// mirror copies the requests of a location.
func mirror(g loadbalancer.Group, m loadbalancer.Mirror) []conf.Directive {
	if m.Address == "" {
		return nil
	}
	list := []conf.Directive{d("mirror", mirrorPath)}
	if g.Protocol == loadbalancer.H2C {
		// To copy a body nginx reads all of it first, but streams have to
		// flow. Their copies have no body.
		list = append(list, d("mirror_request_body", "off"))
	}
	return list
}

// mirrorLocation is where copies go.
func mirrorLocation(m loadbalancer.Mirror) conf.Directive {
	return b("location", words("=", mirrorPath),
		d("internal"),
		d("proxy_pass", "http://"+m.Address+"$request_uri"),
		d("proxy_connect_timeout", milliseconds(m.Timeout)),
		d("proxy_read_timeout", milliseconds(m.Timeout)),
		d("proxy_send_timeout", milliseconds(m.Timeout)),
	)
}
