package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// DialPod connects to a port of a pod through the API server, as kubectl
// port-forward does, but without a port of this machine that others could
// use.
func (c *Cluster) DialPod(ctx context.Context, namespace, pod string, port int32) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() { // the library's dialer knows no context
		conn, err := c.dialPod(namespace, pod, port)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				r.conn.Close() //nolint:errcheck // nobody waits for it any more
			}
		}()
		return nil, ctx.Err()
	}
}

func (c *Cluster) dialPod(namespace, pod string, port int32) (net.Conn, error) {
	dialer, err := c.podDialer(namespace, pod)
	if err != nil {
		return nil, err
	}
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	}
	stream, err := openStreams(conn, pod, port)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return stream, nil
}

// podDialer prefers WebSockets and falls back to SPDY, which API servers
// before 1.31 and some proxies need.
func (c *Cluster) podDialer(namespace, pod string) (httpstream.Dialer, error) {
	u := c.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	newer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, c.config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// openStreams opens the two streams of a forwarded connection: one for data,
// one on which the kubelet says what went wrong.
func openStreams(conn httpstream.Connection, pod string, port int32) (*podConn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	faults, err := conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	}
	faults.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	}
	return &podConn{Stream: data, conn: conn, faults: faults, pod: pod, port: port}, nil
}

// podConn is a stream to a pod's port.
type podConn struct {
	httpstream.Stream
	conn   httpstream.Connection
	faults io.Reader
	pod    string
	port   int32
}

// Read implements net.Conn. At the end it says what the kubelet says.
func (p *podConn) Read(b []byte) (int, error) {
	n, err := p.Stream.Read(b)
	if err == nil || n > 0 {
		return n, nil
	}
	if fault, faultErr := io.ReadAll(io.LimitReader(p.faults, 4096)); faultErr == nil && len(fault) > 0 {
		return 0, fmt.Errorf("port-forward to port %d of pod %s: %s", p.port, p.pod, fault)
	}
	return 0, err
}

// Close implements net.Conn.
func (p *podConn) Close() error { return p.conn.Close() }

// LocalAddr implements net.Conn.
func (p *podConn) LocalAddr() net.Addr { return podAddr("cloverctl") }

// RemoteAddr implements net.Conn.
func (p *podConn) RemoteAddr() net.Addr {
	return podAddr(net.JoinHostPort(p.pod, strconv.Itoa(int(p.port))))
}

// SetDeadline implements net.Conn; contexts bound the requests.
func (p *podConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (p *podConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (p *podConn) SetWriteDeadline(time.Time) error { return nil }

// podAddr names an end of a stream.
type podAddr string

// Network implements net.Addr.
func (podAddr) Network() string { return "pod" }

// String implements net.Addr.
func (a podAddr) String() string { return string(a) }
