package drivertest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
)

// testBodies: bodies come whole, whatever their size and form.
func testBodies(k *kit) {
	k.apply(k.config(group("web", origins(k.T, 1))))
	sizes := []int{1, 1000, 64 << 10}
	if k.can(loadbalancer.FeatureDuplex) {
		sizes = append(sizes, 4<<20)
	}
	for _, size := range sizes {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		r := k.get(call{method: http.MethodPost, path: "/", header: http.Header{doHeader: {"echo"}}, body: body})
		if r.status != http.StatusOK || r.body != body {
			k.Errorf("%d bytes came back as %d, status %d", size, len(r.body), r.status)
		}
	}
}

// testStreaming: what a server sends comes before the response has ended.
func testStreaming(k *kit) {
	list := origins(k.T, 1)
	k.apply(k.config(group("web", list)))
	r := k.get(call{path: "/", header: http.Header{doHeader: {"slow"}}})
	if want := strings.Repeat(slowPiece, slowPieces); r.body != want {
		k.Errorf("a slow body came as %q", r.body)
	}
	if !k.can(loadbalancer.FeatureTrailers) {
		return
	}
	ctx, cancel := context.WithTimeout(k.Context(), 2*patience)
	defer cancel()
	s, err := openStream(ctx, k.http1(), "http://"+k.Addr+"/")
	if err != nil {
		k.Fatal(err)
	}
	defer s.close()
	for i := range 3 {
		if err := s.exchange(fmt.Sprintf("message %d", i)); err != nil {
			k.Fatalf("message %d: %v", i, err)
		}
	}
	if err := s.end(); err != nil {
		k.Error(err)
	}
}

// http1 and http2 are clients with connections of their own. They try again
// only what their protocol says was not processed.
func (k *kit) http1() *http.Client {
	t := &http.Transport{DisableKeepAlives: true}
	k.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (k *kit) http2() *http.Client {
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetUnencryptedHTTP2(true)
	k.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// stream is a call of a bidirectional stream, framed as gRPC frames messages.
type stream struct {
	out    *io.PipeWriter
	res    *http.Response
	origin string
	cancel context.CancelFunc
}

func openStream(ctx context.Context, client *http.Client, url string) (*stream, error) {
	s, err := tryStream(ctx, client, url)
	if err != nil && strings.Contains(err.Error(), "graceful shutdown GOAWAY") {
		// The server says that it has not begun with this stream (RFC 9113,
		// section 6.8); gRPC's libraries open such a stream again too.
		s, err = tryStream(ctx, client, url)
	}
	return s, err
}

func tryStream(ctx context.Context, client *http.Client, url string) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, in)
	if err != nil {
		cancel()
		return nil, err
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	r.Header.Set(doHeader, "echo")
	res, err := client.Do(r) //nolint:bodyclose // close of the stream does
	if err != nil {
		cancel()
		return nil, err
	}
	s := &stream{out: out, res: res, origin: res.Header.Get(nameHeader), cancel: cancel}
	if res.StatusCode != http.StatusOK {
		s.close()
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	return s, nil
}

// exchange sends a message and waits for the same one.
func (s *stream) exchange(text string) error {
	message := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text))), text...)
	if _, err := s.out.Write(message); err != nil {
		return err
	}
	back := make([]byte, len(message))
	if _, err := io.ReadFull(s.res.Body, back); err != nil {
		return err
	}
	if string(back) != string(message) {
		return fmt.Errorf("%q came back as %q", message, back)
	}
	return nil
}

// end sends the end and waits for the trailer.
func (s *stream) end() error {
	if err := s.out.Close(); err != nil {
		return err
	}
	rest, err := io.ReadAll(s.res.Body)
	if err != nil {
		return err
	}
	if status := s.res.Trailer.Get("Grpc-Status"); len(rest) > 0 || status != "0" {
		return fmt.Errorf("%d bytes more and grpc-status %q, want 0", len(rest), status)
	}
	return nil
}

func (s *stream) close() {
	s.out.CloseWithError(errors.New("closed"))
	s.cancel()
	s.res.Body.Close()
}

func testHTTP2(k *kit) {
	list := origins(k.T, 3)
	k.apply(k.config(group("web", list)))
	client := k.http2()
	type result struct {
		origin string
		err    error
	}
	results := make(chan result)
	const n = 90
	for range n {
		go func() {
			origin, err := k.getHTTP2(k.Context(), client)
			results <- result{origin, err}
		}()
	}
	count := map[string]int{}
	for range n {
		r := <-results
		if r.err != nil {
			k.Fatal(r.err)
		}
		count[r.origin]++
	}
	for _, o := range list {
		k.between("requests of "+o.name, count[o.name], 25, 35)
	}
}

func (k *kit) getHTTP2(ctx context.Context, client *http.Client) (origin string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.H2CAddr+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		return "", fmt.Errorf("status %d over %s", res.StatusCode, res.Proto)
	}
	return res.Header.Get(nameHeader), nil
}

// testGRPC: a stream carries messages both ways, its trailer comes through,
// and it lives on when its server is taken out.
func testGRPC(k *kit) {
	list := origins(k.T, 2)
	g := group("grpc", list[:1])
	g.Protocol = loadbalancer.H2C
	k.apply(k.config(g))
	ctx, cancel := context.WithTimeout(k.Context(), 2*patience)
	defer cancel()
	client := k.http2()
	s, err := openStream(ctx, client, "http://"+k.H2CAddr+"/echo.Echo/Talk")
	if err != nil {
		k.Fatal(err)
	}
	defer s.close()
	if err := s.exchange("before"); err != nil {
		k.Fatal(err)
	}
	g.Servers = group("grpc", list[1:]).Servers
	k.apply(k.config(g))
	if err := s.exchange("after"); err != nil {
		k.Fatalf("a stream under way when its server was removed: %v", err)
	}
	if err := s.end(); err != nil {
		k.Error(err)
	}
	if r := list[0].lastRequest(); r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || r.URL.Path != "/echo.Echo/Talk" {
		k.Errorf("the server sees %s %s with TE %q", r.Proto, r.URL.Path, r.Header.Get("Te"))
	}
	second, err := openStream(ctx, client, "http://"+k.H2CAddr+"/echo.Echo/Talk")
	if err != nil {
		k.Fatal(err)
	}
	defer second.close()
	if second.origin != "b" {
		k.Errorf("a new stream goes to %s, want b", second.origin)
	}
}

// webSocket is a connection with Upgrade.
type webSocket struct {
	*conn
	in     *bufio.Reader
	origin string
}

func openWebSocket(ctx context.Context, addr string) (*webSocket, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	req := call{path: "/socket", header: http.Header{
		"Upgrade": {"websocket"}, "Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}
	err = c.write(req, "Upgrade")
	var res *http.Response
	if err == nil {
		res, err = c.readHead(req) //nolint:bodyclose // the connection is the body
	}
	if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("status %d, want 101", res.StatusCode)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return &webSocket{conn: c, in: c.r, origin: res.Header.Get(nameHeader)}, nil
}

func (w *webSocket) exchange(text string) error {
	if err := w.patience(); err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(w.in, back); err != nil {
		return err
	}
	if string(back) != text {
		return fmt.Errorf("%q came back as %q", text, back)
	}
	return nil
}

func testWebSocket(k *kit) {
	list := origins(k.T, 2)
	k.apply(k.config(group("web", list[:1])))
	w, err := openWebSocket(k.Context(), k.Addr)
	if err != nil {
		k.Fatal(err)
	}
	defer w.Close()
	if err := w.exchange("before"); err != nil {
		k.Fatal(err)
	}
	k.apply(k.config(group("web", list[1:])))
	if err := w.exchange("after"); err != nil {
		k.Errorf("a connection under way when its server was removed: %v", err)
	}
	if got := k.origin(call{path: "/"}); w.origin != "a" || got != "b" {
		k.Errorf("%s had the connection, and %s answers now; want a and b", w.origin, got)
	}
}
