package mesh

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
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// maxAnswerBytes bounds what istiod or a proxy may answer.
const maxAnswerBytes = 256 << 20

// pod asks one port of a pod by HTTP, through the API server, as if from
// inside the pod. It has to be closed.
type pod struct {
	name   string // "NAMESPACE/NAME"
	http   *http.Client
	stream httpstream.Connection
}

// forward opens a way to that port of a pod.
func (c *Client) forward(namespace, name string, port int) (*pod, error) {
	target := c.core.RESTClient().Post().Resource("pods").Namespace(namespace).Name(name).SubResource("portforward").URL()
	spdyTransport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, err
	}
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, c.config)
	if err != nil {
		return nil, err
	}
	// API servers before 1.31 know SPDY only.
	dialer := portforward.NewFallbackDialerForStreaming(websocket,
		spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: spdyTransport}, http.MethodPost, target),
		func(err error) bool { return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) })
	stream, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	var requests atomic.Int64
	dial := func(context.Context, string, string) (net.Conn, error) {
		return open(stream, port, int(requests.Add(1)))
	}
	return &pod{
		name: namespace + "/" + name, stream: stream,
		http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConns: 1}},
	}, nil
}

// get returns the body of an answer.
func (p *pod) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	case len(body) > maxAnswerBytes:
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxAnswerBytes)
	}
	return body, nil
}

func (p *pod) close() {
	p.http.CloseIdleConnections()
	_ = p.stream.Close() // what it carried has been read
}

// open makes one TCP connection through the stream.
func open(stream httpstream.Connection, port, request int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(request))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failure, err := stream.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	// This side has nothing to say there.
	if err := failure.Close(); err != nil {
		return nil, err
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := stream.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	return &streamConn{Stream: data, failure: failure}, nil
}

// streamConn is a stream as a connection. Its deadlines are those of the
// request, which closes it.
type streamConn struct {
	httpstream.Stream
	failure httpstream.Stream
}

// Read says why there is nothing to read, if the other end told so.
func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	if errors.Is(err, io.EOF) && n == 0 {
		if reason, _ := io.ReadAll(io.LimitReader(c.failure, 1<<10)); len(reason) > 0 {
			err = fmt.Errorf("port-forward: %s", reason)
		}
	}
	return n, err
}

func (c *streamConn) Close() error {
	_ = c.failure.Reset()
	return c.Reset()
}

func (c *streamConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *streamConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *streamConn) SetDeadline(time.Time) error      { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error  { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }
