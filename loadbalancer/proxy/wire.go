package proxy

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// wireOptions are what connections to a server depend on.
type wireOptions struct {
	protocol                 loadbalancer.Protocol
	connect, response, piece time.Duration
}

// wire is the connections to one server.
type wire struct {
	options   wireOptions
	conns     *conns // for requests without a body
	transport *http.Transport
}

// idleTimeout is how long a connection to a server is kept without a request.
const idleTimeout = 30 * time.Second

// setWire gives the server connections of that kind.
func (s *server) setWire(o wireOptions) {
	before := s.wire.Load()
	if before != nil && before.options == o {
		return
	}
	s.wire.Store(newWire(s.address, o))
	if before != nil {
		before.retire()
	}
}

// renewWire closes the connections that are idle, and lets others take their
// place.
func (s *server) renewWire() {
	before := s.wire.Load()
	s.wire.Store(newWire(s.address, before.options))
	before.retire()
}

func newWire(address string, o wireOptions) *wire {
	return &wire{options: o, conns: newConns(address, o.connect), transport: newTransport(o)}
}

// newTransport returns connections that carry what they are given as it is.
func newTransport(o wireOptions) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(o.protocol == loadbalancer.HTTP1)
	protocols.SetUnencryptedHTTP2(o.protocol == loadbalancer.H2C)
	dialer := &net.Dialer{Timeout: o.connect}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
		Protocols:             protocols,
		DisableCompression:    true,
		MaxIdleConns:          0,
		MaxIdleConnsPerHost:   4096,
		IdleConnTimeout:       idleTimeout,
		ResponseHeaderTimeout: o.response,
	}
}

// retire closes what is idle. What is busy closes when it has been idle for
// idleTimeout at most.
func (w *wire) retire() {
	w.conns.retire()
	w.transport.CloseIdleConnections()
}
