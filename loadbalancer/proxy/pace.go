package proxy

import (
	"net"
	"time"
)

// pieceTimeout is how long each piece of a response may take: to come from a
// server and to go to a client. It is what nginx has as proxy_read_timeout and
// send_timeout. Responses as a whole may take as long as they want. It does not
// hold for what goes by httputil.ReverseProxy, but that the connection of its
// client must move: streams of gRPC and WebSockets may be silent.
const pieceTimeout = time.Minute

// pacedConn is a client's connection that ends when the client does not take
// a piece in time.
type pacedConn struct {
	net.Conn
	timeout time.Duration
}

// Write implements net.Conn.
func (c *pacedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
