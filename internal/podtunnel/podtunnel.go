// Package podtunnel connects to ports of pods through the Kubernetes API
// server, as kubectl port-forward does, but without a port of this machine
// that others could use.
package podtunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Tunnel carries any number of connections to the ports of one pod. It may be
// used concurrently.
type Tunnel struct {
	stream   httpstream.Connection
	pod      string // "NAMESPACE/NAME"
	requests atomic.Int64
}

// Open opens a tunnel to a pod; core is a client of the API group of pods for
// that configuration. It prefers WebSockets and falls back to SPDY, which API
// servers before 1.31 and some proxies need.
func Open(ctx context.Context, config *rest.Config, core rest.Interface, namespace, pod string) (*Tunnel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type result struct {
		tunnel *Tunnel
		err    error
	}
	done := make(chan result, 1)
	go func() { // the library's dialer knows no context
		t, err := open(config, core, namespace, pod)
		done <- result{t, err}
	}()
	select {
	case r := <-done:
		return r.tunnel, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.tunnel != nil {
				r.tunnel.Close() //nolint:errcheck // nobody waits for it any more
			}
		}()
		return nil, ctx.Err()
	}
}

func open(config *rest.Config, core rest.Interface, namespace, pod string) (*Tunnel, error) {
	u := core.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	newer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialerForStreaming(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	stream, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	}
	return &Tunnel{stream: stream, pod: namespace + "/" + pod}, nil
}

// Close ends the tunnel and all its connections.
func (t *Tunnel) Close() error { return t.stream.Close() }

// Dial makes one connection to a port, of two streams: one for data, one on
// which the kubelet says what went wrong. Its deadlines do nothing: what uses
// it closes it.
func (t *Tunnel) Dial(port int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(t.requests.Add(1), 10))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	faults, err := t.stream.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", t.pod, err)
	}
	// This side has nothing to say there.
	if err := faults.Close(); err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", t.pod, err)
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.stream.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", t.pod, err)
	}
	return &conn{Stream: data, faults: faults, pod: t.pod, port: port}, nil
}

// Dial makes a connection with a tunnel of its own, which ends with it.
func Dial(ctx context.Context, config *rest.Config, core rest.Interface, namespace, pod string, port int) (net.Conn, error) {
	t, err := Open(ctx, config, core, namespace, pod)
	if err != nil {
		return nil, err
	}
	c, err := t.Dial(port)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return &ownConn{c, t}, nil
}

type ownConn struct {
	net.Conn
	tunnel *Tunnel
}

// Close implements net.Conn.
func (c *ownConn) Close() error { return c.tunnel.Close() }

// conn is a stream to a pod's port.
type conn struct {
	httpstream.Stream
	faults httpstream.Stream
	pod    string
	port   int
}

// Read implements net.Conn. At the end it says what the kubelet says.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	if err == nil || n > 0 {
		return n, nil
	}
	if fault, faultErr := io.ReadAll(io.LimitReader(c.faults, 4096)); faultErr == nil && len(fault) > 0 {
		return 0, fmt.Errorf("port-forward to port %d of pod %s: %s", c.port, c.pod, fault)
	}
	return 0, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	_ = c.faults.Reset() // nobody listens to it any more
	return c.Reset()
}

// LocalAddr implements net.Conn.
func (*conn) LocalAddr() net.Addr { return addr("clover") }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return addr(net.JoinHostPort(c.pod, strconv.Itoa(c.port))) }

// SetDeadline implements net.Conn.
func (*conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (*conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (*conn) SetWriteDeadline(time.Time) error { return nil }

// addr names an end of a connection.
type addr string

// Network implements net.Addr.
func (addr) Network() string { return "pod" }

// String implements net.Addr.
func (a addr) String() string { return string(a) }
