package session_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// recorder makes connections whose bytes become segments, as they are read and
// written.
type recorder struct {
	mu    sync.Mutex
	conns []*recordedConn
}

// recordedConn is one connection.
type recordedConn struct {
	net.Conn
	r      *recorder
	c      *sessiontest.Conversation
	closed bool
}

func (r *recorder) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	client, server := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	v := &recordedConn{Conn: conn, r: r, c: sessiontest.Open(unmap(client), unmap(server))}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, v)
	return v, nil
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func (v *recordedConn) Read(p []byte) (int, error) {
	n, err := v.Conn.Read(p)
	v.send(protocol.Server, p[:n])
	return n, err
}

func (v *recordedConn) Write(p []byte) (int, error) {
	v.send(protocol.Client, p) // before, so that no answer comes first
	return v.Conn.Write(p)
}

func (v *recordedConn) send(from protocol.Side, p []byte) {
	v.r.mu.Lock()
	defer v.r.mu.Unlock()
	if !v.closed {
		v.c.Send(from, append([]byte(nil), p...))
	}
}

func (v *recordedConn) Close() error {
	v.r.mu.Lock()
	if !v.closed {
		v.closed = true
		v.c.Close()
	}
	v.r.mu.Unlock()
	return v.Conn.Close()
}

// sessions are those of all connections, which must be found whole and in
// pieces alike.
func (r *recorder) sessions(t *testing.T) []session.Session {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var segments sessiontest.Segments
	for _, v := range r.conns {
		segments = append(segments, v.c.Segments...)
	}
	got, ledger := sessiontest.Run(session.Options{}, segments)
	for _, l := range ledger {
		if !l.AddsUp() || l.Open != 0 || l.UndecodedBytes != 0 {
			t.Errorf("the ledger says %+v", l)
		}
	}
	pieces, _ := sessiontest.Run(session.Options{}, sessiontest.Cut(segments, 13))
	if len(pieces) != len(got) {
		t.Errorf("%d sessions in pieces, %d whole", len(pieces), len(got))
	}
	return got
}
