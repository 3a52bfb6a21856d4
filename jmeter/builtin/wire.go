package builtin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Bounds of an answer's head.
const (
	readBuffer   = 8 << 10 // a line of a head has to fit
	maxHeadBytes = 256 << 10
)

// conn is a connection for HTTP/1.1 that one user has.
type conn struct {
	net.Conn
	in   *bufio.Reader
	used bool // it has carried a request
}

// answer is what a response's head says.
type answer struct {
	location string
	cookies  []string
	length   int64 // -1: unknown
	chunked  bool
	close    bool
	gzip     bool
}

var errHead = errors.New("not an answer of HTTP/1.1")

// exchange sends a request and reads its answer. Where the server has closed
// the connection since the last request, one that may be sent twice is sent
// again on a new one, and counted.
func (c *client) exchange(q *request, t *target, method string, extra []jmeter.Pair, x *jmeter.Sample, r *response) (answer, error) {
	if c.user.run.program.plan.HTTP2 {
		return c.exchange2(q, t, method, extra, x, r)
	}
	key := t.addr
	if t.secure {
		key = "s" + key
	}
	for {
		k, err := c.connection(key, q, t, x)
		if err != nil {
			return answer{}, err
		}
		again := k.used
		k.used = true
		a, begun, err := c.roundTrip(k, q, t, method, extra, x, r)
		// What is left would be taken for the next answer.
		if err != nil || a.close || q.NoKeepAlive || k.in.Buffered() > 0 {
			c.drop(key, k)
		}
		if err != nil && again && !begun && replayable(method, t) && c.user.ctx.Err() == nil && cause(err) == "connection closed" {
			c.user.run.resent.Add(1)
			continue
		}
		return a, err
	}
}

// replayable reports whether the server may get a request twice, by the rules
// of net/http: it may have acted on the first one.
func replayable(method string, t *target) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return len(t.body) == 0
	}
	return false
}

// connection returns the user's connection to a server.
func (c *client) connection(key string, q *request, t *target, x *jmeter.Sample) (*conn, error) {
	c.mu.Lock()
	k := c.conns[key]
	c.mu.Unlock()
	if k != nil {
		return k, nil
	}
	began := time.Now()
	raw, err := c.dial(c.user.ctx, t, orDefault(q.ConnectTimeout, jmeter.DefaultConnectTimeout))
	x.Connect += time.Since(began)
	if err != nil {
		return nil, err
	}
	k = &conn{Conn: raw, in: bufio.NewReaderSize(raw, readBuffer)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		raw.Close()
		return nil, c.user.ctx.Err()
	}
	c.conns[key] = k
	return k, nil
}

func (c *client) drop(key string, k *conn) {
	k.Close()
	c.mu.Lock()
	delete(c.conns, key)
	c.mu.Unlock()
}

// roundTrip reports as begun whether anything of an answer came.
func (c *client) roundTrip(k *conn, q *request, t *target, method string, extra []jmeter.Pair, x *jmeter.Sample, r *response) (a answer, begun bool, err error) {
	deadline := time.Now().Add(orDefault(q.Timeout, jmeter.DefaultTimeout))
	if err := k.SetDeadline(deadline); err != nil {
		return a, false, err
	}
	b := c.buf[:0]
	if t == q.static && t.head != nil {
		b = append(b, t.head...)
	} else {
		b = t.appendHead(b, method, !q.NoKeepAlive)
	}
	for _, h := range extra {
		b = append(append(append(append(b, h.Name...), ": "...), h.Value...), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	sent := len(b) + len(t.body)
	if len(t.body) <= 64<<10 {
		b = append(b, t.body...)
		_, err = k.Write(b)
	} else {
		_, err = (&net.Buffers{b, t.body}).WriteTo(k.Conn)
	}
	c.buf = b
	x.SentBytes += int64(sent)
	if err != nil && cause(err) != "connection closed" { // else an answer may be there
		return a, false, err
	}
	for {
		var head int
		r.status, r.header = 0, ""
		a, head, err = k.readHead(r, q, &begun, x)
		if err != nil {
			return a, begun, err
		}
		x.Bytes += int64(head)
		if r.status >= 200 { // those before are not the answer
			break
		}
	}
	err = k.readBody(a, r, q, method, c.user.run.options.MaxBodyBytes, x)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if a.length < 0 && !a.chunked && hasBody(method, r.status) {
		a.close = true
	}
	return a, begun, err
}

// readHead reads the first line and the headers.
func (k *conn) readHead(r *response, q *request, begun *bool, x *jmeter.Sample) (a answer, size int, err error) {
	line, err := k.line()
	if err != nil {
		return a, 0, err
	}
	if !*begun {
		*begun = true
		x.Latency = time.Since(x.Start)
	}
	size = len(line) + 2
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, size, fmt.Errorf("%w: %.40q", errHead, line)
	}
	a.length, a.close = -1, line[7] == '0'
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil || r.status < 100 {
		return a, size, fmt.Errorf("%w: %.40q", errHead, line)
	}
	keep := len(q.extract) > 0
	for {
		if line, err = k.line(); err != nil {
			return a, size, err
		}
		if size += len(line) + 2; size > maxHeadBytes {
			return a, size, fmt.Errorf("%w: a head of more than %d bytes", errHead, maxHeadBytes)
		}
		if len(line) == 0 {
			return a, size, nil
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return a, size, fmt.Errorf("%w: header %.40q", errHead, line)
		}
		if keep {
			r.header += string(line) + "\n"
		}
		if err := a.header(name, bytes.TrimSpace(value)); err != nil {
			return a, size, err
		}
	}
}

// header notes a header that says something about the connection or the body.
func (a *answer) header(name, value []byte) error {
	is := func(s string) bool { return len(name) == len(s) && bytes.EqualFold(name, []byte(s)) }
	switch {
	case is("Content-Length"):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || a.length >= 0 && a.length != n {
			return fmt.Errorf("%w: Content-Length %.40q", errHead, value)
		}
		a.length = n
	case is("Transfer-Encoding"):
		a.chunked = bytes.EqualFold(value, []byte("chunked"))
	case is("Connection"):
		if bytes.EqualFold(value, []byte("close")) {
			a.close = true
		} else if bytes.EqualFold(value, []byte("keep-alive")) {
			a.close = false
		}
	case is("Location"):
		a.location = string(value)
	case is("Set-Cookie"):
		a.cookies = append(a.cookies, string(value))
	case is("Content-Encoding"):
		a.gzip = bytes.EqualFold(value, []byte("gzip"))
	}
	return nil
}

// line returns a line without its end, valid until the next read.
func (k *conn) line() ([]byte, error) {
	line, err := k.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", errHead, readBuffer)
		}
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

func hasBody(method string, status int) bool {
	return method != "HEAD" && status != 204 && status != 304
}

// readBody reads the body and keeps what the request looks at.
func (k *conn) readBody(a answer, r *response, q *request, method string, limit int64, x *jmeter.Sample) error {
	r.body, r.size = r.body[:0], 0
	if !hasBody(method, r.status) {
		return nil
	}
	if !a.chunked && a.length >= 0 && !q.keepBody {
		n, err := discard(k.in, a.length)
		x.Bytes += n
		r.size = n
		return err
	}
	var body io.Reader = k.in
	switch {
	case a.chunked:
		body = httputil.NewChunkedReader(k.in)
	case a.length >= 0:
		body = io.LimitReader(k.in, a.length)
	}
	if err := r.read(body, q.keepBody, limit); err != nil {
		return err
	}
	x.Bytes += r.size
	if !a.chunked && a.length > r.size {
		return io.ErrUnexpectedEOF
	}
	for a.chunked { // the trailer
		line, err := k.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
	}
	return r.unpack(a.gzip && q.keepBody, limit)
}

// discard drops n bytes; a bufio.Reader takes an int at a time.
func discard(in *bufio.Reader, n int64) (int64, error) {
	done := int64(0)
	for done < n {
		m, err := in.Discard(int(min(n-done, 1<<30)))
		if done += int64(m); err != nil {
			return done, err
		}
	}
	return done, nil
}

// read reads a body to its end.
func (r *response) read(body io.Reader, keep bool, limit int64) error {
	if keep {
		b := bytes.NewBuffer(r.body)
		n, err := io.Copy(b, io.LimitReader(body, limit))
		r.body, r.size = b.Bytes(), n
		if err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, body)
	r.size += n
	return err
}

func (r *response) unpack(packed bool, limit int64) error {
	if !packed || len(r.body) == 0 {
		return nil
	}
	plain, err := unpack(r.body, limit)
	if errors.Is(err, io.ErrUnexpectedEOF) && r.size > int64(len(r.body)) {
		err = nil // the rest was counted and not kept
	}
	if err == nil {
		r.body = plain
	}
	return err
}
