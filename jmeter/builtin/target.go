package builtin

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opnfv/clover/jmeter"
)

// target gives the variables of a request their values.
func (q *request) target(u *user) (*target, error) {
	scheme, host, port := q.scheme.Expand(u.value), q.host.Expand(u.value), q.port.Expand(u.value)
	raw := scheme + "://" + host
	if port != "" {
		raw += ":" + port
	}
	path := q.path.Expand(u.value)
	raw += jmeter.EscapePath(path)
	query := jmeter.EscapeQuery(q.base.Expand(u.value))
	for _, p := range q.query {
		if query != "" {
			query += "&"
		}
		query += url.QueryEscape(p.name.Expand(u.value)) + "=" + url.QueryEscape(p.value.Expand(u.value))
	}
	if query != "" {
		raw += "?" + query
	}
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	t := &target{}
	if err := t.setURL(parsed); err != nil {
		return nil, err
	}
	if err := q.header(u, t); err != nil {
		return nil, err
	}
	return t, q.setBody(u, t)
}

func (t *target) setURL(u *url.URL) error {
	t.url, t.secure, t.head = u, u.Scheme == "https", nil
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q; want http or https", u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("%q has no host", u.Redacted())
	case port == "" && t.secure:
		port = "443"
	case port == "":
		port = "80"
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	return nil
}

func (q *request) header(u *user, t *target) error {
	add := func(name, value string) { t.header = append(t.header, jmeter.Pair{Name: name, Value: value}) }
	for _, h := range q.headers {
		add(h.name.Expand(u.value), h.value.Expand(u.value))
	}
	if q.Basic != nil {
		add("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(q.user.Expand(u.value)+":"+q.password.Expand(u.value))))
	}
	if q.Bearer != "" {
		add("Authorization", "Bearer "+q.bearer.Expand(u.value))
	}
	if len(q.Cookies) > 0 {
		add("Cookie", q.cookie.Expand(u.value))
	}
	for _, h := range t.header { // a variable may hold anything
		if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
			return fmt.Errorf("header %q: a line break in a variable", h.Name)
		}
	}
	return nil
}

// setBody makes the body and its type.
func (q *request) setBody(u *user, t *target) error {
	kind := ""
	switch q.Body.Kind {
	case jmeter.RawBody:
		t.body, kind = []byte(q.body.Expand(u.value)), "text/plain; charset=UTF-8"
	case jmeter.FileBody:
		data, err := u.run.file(q.file.Expand(u.value))
		if err != nil {
			return err
		}
		t.body = data
	case jmeter.FormBody:
		var b strings.Builder
		for i, f := range q.fields {
			if i > 0 {
				b.WriteByte('&')
			}
			b.WriteString(url.QueryEscape(f.name.Expand(u.value)) + "=" + url.QueryEscape(f.value.Expand(u.value)))
		}
		t.body, kind = []byte(b.String()), "application/x-www-form-urlencoded; charset=UTF-8"
	case jmeter.MultiBody:
		var err error
		if t.body, kind, err = q.multipart(u); err != nil {
			return err
		}
	}
	if kind != "" && !hasHeader(t.header, "Content-Type") {
		t.header = append(t.header, jmeter.Pair{Name: "Content-Type", Value: kind})
	}
	return nil
}

func hasHeader(header []jmeter.Pair, name string) bool {
	for _, h := range header {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

func (q *request) multipart(u *user) (body []byte, kind string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range q.fields {
		if err := w.WriteField(f.name.Expand(u.value), f.value.Expand(u.value)); err != nil {
			return nil, "", err
		}
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "%0D", "\n", "%0A").Replace
	for _, f := range q.files {
		path := f[1].Expand(u.value)
		data, err := u.run.file(path)
		if err != nil {
			return nil, "", err
		}
		mime := f[2].Expand(u.value)
		if mime == "" {
			mime = "application/octet-stream"
		}
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name="%s"; filename="%s"`, escape(f[0].Expand(u.value)), escape(filepath.Base(path)))},
			"Content-Type":        {mime},
		})
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(data); err != nil {
			return nil, "", err
		}
	}
	err = w.Close()
	return b.Bytes(), w.FormDataContentType(), err
}

// maxFileBytes bounds the files that are kept in memory to be sent.
const maxFileBytes = 256 << 20

// file returns the content of a file, which is read once in a run.
func (r *run) file(path string) ([]byte, error) {
	r.filesMu.Lock()
	defer r.filesMu.Unlock()
	if data, ok := r.files[path]; ok {
		return data, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes-r.fileBytes+1))
	if err != nil {
		return nil, err
	}
	if r.fileBytes+int64(len(data)) > maxFileBytes {
		return nil, fmt.Errorf("%s: files of more than %d bytes in all", path, maxFileBytes)
	}
	if r.files == nil {
		r.files = map[string][]byte{}
	}
	r.files[path] = data
	r.fileBytes += int64(len(data))
	return data, nil
}

// appendHead appends the request's first line and headers, without the last
// empty line.
func (t *target) appendHead(b []byte, method string, keepAlive bool) []byte {
	b = append(append(append(append(b, method...), ' '), t.url.RequestURI()...), " HTTP/1.1\r\n"...)
	add := func(name, value string) {
		b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
	}
	if !hasHeader(t.header, "Host") {
		add("Host", t.url.Host)
	}
	for _, h := range t.header {
		add(h.Name, h.Value)
	}
	if !keepAlive {
		add("Connection", "close")
	}
	if len(t.body) > 0 || method == "POST" || method == "PUT" || method == "PATCH" {
		add("Content-Length", strconv.Itoa(len(t.body)))
	}
	return b
}
