package drivertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// call is a request of a test.
type call struct {
	method, path string
	header       http.Header
	body         string
	host         string
}

// reply is its response.
type reply struct {
	status int
	origin string
	body   string
	header http.Header
	close  bool // the server says that it closes the connection
}

// get sends a request on a connection of its own, as it is given, without
// trying again.
func (k *kit) get(c call) reply {
	k.Helper()
	r, err := k.send(k.Context(), c)
	if err != nil {
		k.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return r
}

// send may be called from any goroutine.
func (k *kit) send(ctx context.Context, c call) (reply, error) {
	conn, err := dial(ctx, k.Addr)
	if err != nil {
		return reply{}, err
	}
	defer conn.close()
	return conn.do(c, "close")
}

// origin sends a request that must succeed, and returns which origin answered.
func (k *kit) origin(c call) string {
	k.Helper()
	r := k.get(c)
	if r.status != http.StatusOK {
		k.Fatalf("%s: status %d: %s", c.path, r.status, r.body)
	}
	return r.origin
}

// status sends a request and returns the status of the response.
func (k *kit) status(c call) int {
	k.Helper()
	return k.get(c).status
}

// tally sends n requests one after another on one connection, and counts by
// origin.
func (k *kit) tally(n int, c func(i int) call) map[string]int {
	k.Helper()
	count := map[string]int{}
	for _, origin := range k.sequence(n, c) {
		count[origin]++
	}
	return count
}

// sequence sends n requests one after another on one connection, and returns
// who answered each.
func (k *kit) sequence(n int, c func(i int) call) []string {
	k.Helper()
	conn, err := dial(k.Context(), k.Addr)
	if err != nil {
		k.Fatal(err)
	}
	defer conn.close()
	list := make([]string, n)
	for i := range n {
		r, err := conn.do(c(i), "")
		if err != nil || r.status != http.StatusOK {
			k.Fatalf("request %d: status %d, %v", i, r.status, err)
		}
		list[i] = r.origin
	}
	return list
}

func plain(int) call { return call{path: "/"} }

// conn is a client's connection of HTTP/1.1 that hides nothing: it does not
// try again, and knows whether the server closed it while it was idle.
type conn struct {
	net.Conn
	r *bufio.Reader
	// readable gets the result of waiting for a first byte.
	readable chan error
}

func dial(ctx context.Context, addr string) (*conn, error) {
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	cn := &conn{Conn: c, r: bufio.NewReader(c), readable: make(chan error, 1)}
	if err := cn.patience(); err != nil {
		return nil, err
	}
	go cn.await()
	return cn, nil
}

// patience is how long a client waits for anything.
const patience = time.Minute

func (c *conn) patience() error { return c.SetDeadline(time.Now().Add(patience)) }

// await waits for the first byte of a response, or the end.
func (c *conn) await() {
	_, err := c.r.Peek(1)
	c.readable <- err
}

func (c *conn) close() {
	c.Close()
	select {
	case err := <-c.readable: // await has ended
		c.readable <- err
	case <-time.After(10 * time.Second):
	}
}

// closedIdle reports whether the server has closed the connection before a
// request was sent.
func (c *conn) closedIdle() bool {
	select {
	case err := <-c.readable:
		c.readable <- err
		return true
	default:
		return false
	}
}

// do sends a request and reads the whole response.
func (c *conn) do(req call, connection string) (reply, error) {
	if len(req.body) > 64<<10 {
		return c.doAtOnce(req, connection)
	}
	if err := c.write(req, connection); err != nil {
		return reply{}, err
	}
	return c.read(req)
}

// doAtOnce reads while it writes: a server that answers as the body comes
// could not go on once every buffer on the way back is full.
func (c *conn) doAtOnce(req call, connection string) (reply, error) {
	written := make(chan error, 1)
	go func() { written <- c.write(req, connection) }()
	r, err := c.read(req)
	if err != nil {
		c.close() // ends the writing too
	}
	return r, errors.Join(err, <-written)
}

// write sends a request. A body has a length.
func (c *conn) write(req call, connection string) error {
	if err := c.patience(); err != nil {
		return err
	}
	_, err := io.WriteString(c, c.head(req, connection, int64(len(req.body)))+req.body)
	return err
}

func (c *conn) head(req call, connection string, length int64) string {
	var b strings.Builder
	method, host := req.method, req.host
	if method == "" {
		method = http.MethodGet
	}
	if host == "" {
		host = c.RemoteAddr().String()
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, req.path, host)
	if length > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	if connection != "" {
		fmt.Fprintf(&b, "Connection: %s\r\n", connection)
	}
	_ = req.header.Write(&b) // a strings.Builder does not fail
	b.WriteString("\r\n")
	return b.String()
}

// read reads the whole response.
func (c *conn) read(req call) (reply, error) {
	res, err := c.readHead(req)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(res.Body)
	if err := res.Body.Close(); err != nil {
		return reply{}, err
	}
	go c.await()
	if err != nil {
		return reply{}, fmt.Errorf("body: %w", err)
	}
	return reply{status: res.StatusCode, origin: res.Header.Get(nameHeader), body: string(body), header: res.Header, close: res.Close}, nil
}

// readHead reads a response up to its body, which is to be read from c.r if
// the connection was upgraded.
func (c *conn) readHead(req call) (*http.Response, error) {
	if err := <-c.readable; err != nil {
		c.readable <- err
		return nil, err
	}
	res, err := http.ReadResponse(c.r, &http.Request{Method: req.method})
	if err != nil {
		go c.await()
		return nil, err
	}
	return res, nil
}
