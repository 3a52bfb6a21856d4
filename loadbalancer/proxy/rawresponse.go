package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// respond sends a response to the client, and reports whether it went as a
// whole, so that both connections can be used again.
func (c *rawConn) respond(res *http.Response) bool {
	b := c.appendHead(c.out[:0], res)
	if c.request.head || res.Body == http.NoBody {
		_, err := c.Write(b)
		c.out = b
		return err == nil
	}
	if res.ContentLength < 0 {
		return c.chunks(b, res)
	}
	return c.body(b, res)
}

// body sends a body of a known length, its beginning together with the head.
func (c *rawConn) body(b []byte, res *http.Response) bool {
	head := len(b)
	if room := int(min(res.ContentLength, 4096)); cap(b)-head < room {
		b = append(b, make([]byte, room)...)[:head]
	}
	n, err := io.ReadFull(res.Body, b[head:head+int(min(res.ContentLength, 4096))])
	if err != nil {
		// The client gets what there is, and sees that the end is missing.
		_, _ = c.Write(b[:head+n])
		return false
	}
	b = b[:head+n]
	_, err = c.Write(b)
	c.out = b[:0]
	if rest := res.ContentLength - int64(n); err == nil && rest > 0 {
		buf := buffers{}.Get()
		defer buffers{}.Put(buf)
		_, err = io.CopyBuffer(struct{ io.Writer }{c.Conn}, struct{ io.Reader }{res.Body}, buf)
	} else if err == nil {
		_, err = io.Copy(io.Discard, res.Body) // sees the end
	}
	return err == nil
}

// chunks sends a body of unknown length, each piece at once.
func (c *rawConn) chunks(b []byte, res *http.Response) bool {
	if _, err := c.Write(b); err != nil {
		return false
	}
	buf := buffers{}.Get()
	defer buffers{}.Put(buf)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			b = strconv.AppendInt(b[:0], int64(n), 16)
			b = append(append(append(b, "\r\n"...), buf[:n]...), "\r\n"...)
			if _, err := c.Write(b); err != nil {
				return false
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false
		}
	}
	b = appendHeaders(append(b[:0], "0\r\n"...), res.Trailer, nil)
	_, err := c.Write(append(b, "\r\n"...))
	c.out = b[:0]
	return err == nil
}

// appendHead appends the head of a response for the client.
func (c *rawConn) appendHead(b []byte, res *http.Response) []byte {
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(res.StatusCode), 10)
	b = append(append(append(b, ' '), http.StatusText(res.StatusCode)...), "\r\n"...)
	b = appendHeaders(b, res.Header, res.Header["Connection"])
	if len(res.Header["Date"]) == 0 {
		b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	if res.ContentLength < 0 && !c.request.head && res.Body != http.NoBody {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		for name := range res.Trailer {
			b = append(append(append(b, "Trailer: "...), name...), "\r\n"...)
		}
	}
	if c.request.close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendHeaders appends header lines, without those about the connection and
// those that Connection names.
func appendHeaders(b []byte, h http.Header, connection []string) []byte {
	for name, values := range h {
		if hop(name) || name != "Content-Length" && listed(connection, name) {
			continue
		}
		for _, v := range values {
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	return b
}

func listed(connection []string, name string) bool {
	for _, list := range connection {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), name) {
				return true
			}
		}
	}
	return false
}
