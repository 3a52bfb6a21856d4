package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// FuzzRawRequest holds that what the raw way accepts net/http understands in
// the same way, and that the server gets just that.
func FuzzRawRequest(f *testing.F) {
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD /a%20b?c=%zz HTTP/1.1\r\nHost: h:80\r\nX-A: 1\r\nx-a:2\r\nConnection: close\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: b, c\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\nX: a\r\n\r\n",
		"GET //a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		end := bytes.Index(head, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		var raw rawRequest
		if !raw.parse(head[:end+4]) {
			return
		}
		read := func(from []byte) *http.Request {
			b := bufio.NewReader(bytes.NewReader(from))
			r, err := http.ReadRequest(b)
			if err != nil {
				t.Fatalf("net/http refuses %q: %v", from, err)
			}
			if rest, _ := io.ReadAll(b); len(rest) > 0 {
				t.Fatalf("net/http leaves %q of %q", rest, from)
			}
			return r
		}
		want := read(head[:end+4])
		if want.ContentLength != 0 || len(want.TransferEncoding) > 0 || want.Close != raw.close || want.URL.Path != raw.path || want.Host != string(raw.host) {
			t.Fatalf("%q is %+v for net/http, and %+v for us", head, want, raw)
		}
		got := read(raw.appendTo(nil, "", "192.0.2.1"))
		if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host {
			t.Fatalf("%q comes as %+v", head, got)
		}
		forwarded := append(want.Header.Values("X-Forwarded-For"), "192.0.2.1")
		if f := got.Header.Get("X-Forwarded-For"); f != strings.Join(forwarded, ", ") {
			t.Fatalf("X-Forwarded-For is %q, want %q", f, forwarded)
		}
		for _, h := range []http.Header{want.Header, got.Header} {
			h.Del("X-Forwarded-For")
			h.Del("Connection")
		}
		if !reflect.DeepEqual(got.Header, want.Header) {
			t.Fatalf("%q comes with %q, want %q", head, got.Header, want.Header)
		}
	})
}
