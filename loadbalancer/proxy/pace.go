package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// pieceTimeout is how long each piece of a response may take: to come from a
// server and to go to a client. It is what nginx has as proxy_read_timeout and
// send_timeout. Responses as a whole may take as long as they want. Streams of
// gRPC and WebSockets may be silent: for them it only holds that the connection
// of the client must move.
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

// silent reports whether a response may rest for as long as it likes.
func silent(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), "application/grpc") }

// pacedBody is the body of a response that ends when the server does not send
// a piece in time.
type pacedBody struct {
	io.ReadCloser
	timeout time.Duration
	timer   *time.Timer // cancels the request
}

func newPacedBody(body io.ReadCloser, timeout time.Duration, cancel context.CancelFunc) *pacedBody {
	timer := time.AfterFunc(timeout, cancel)
	timer.Stop()
	return &pacedBody{body, timeout, timer}
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.timeout)
	defer b.timer.Stop()
	return b.ReadCloser.Read(p)
}

// Close implements io.Closer.
func (b *pacedBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// pacedWriter is a client's stream of HTTP/2 that ends when the client does
// not take a piece in time: the connection, which others use too, moves on.
type pacedWriter struct {
	http.ResponseWriter
	timeout time.Duration
	timer   *time.Timer // ends the stream; nil until something is written
}

// Unwrap lets http.ResponseController find what is behind.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements http.ResponseWriter.
func (w *pacedWriter) Write(p []byte) (int, error) {
	defer w.start().Stop()
	return w.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController flushes by.
func (w *pacedWriter) FlushError() error {
	defer w.start().Stop()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// start begins the time of a piece, which ends when the timer is stopped.
func (w *pacedWriter) start() *time.Timer {
	switch {
	case w.timer == nil:
		w.timer = time.AfterFunc(w.timeout, func() {
			// A deadline that is over ends the stream.
			_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
		})
		if silent(w.Header()) {
			w.timer.Stop()
		}
	case !silent(w.Header()):
		w.timer.Reset(w.timeout)
	}
	return w.timer
}
