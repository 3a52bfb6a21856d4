package spark

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// stream is what a server answers, and what it was sent.
type stream struct {
	io.Reader
	sent bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) { return s.sent.Write(p) }

func TestAuthenticate(t *testing.T) {
	for _, c := range []struct{ name, answer, err string }{
		{"taken", "\x05\x00\x00\x00\x00", ""},
		{"taken, with a text", "\x05\x00\x00\x00\x02ok", ""},
		{"refused", "\x03\x00\x00\x00\x04nope", "refuses the user: nope"},
		{"no SASL", "HTTP/1.1 400 Bad Request\r\n", "does not speak SASL"},
		{"cut off", "\x05\x00", "unexpected EOF"},
		{"text cut off", "\x05\x00\x00\x00\x09ok", "unexpected EOF"},
		{"nothing", "", "EOF"},
	} {
		s := &stream{Reader: strings.NewReader(c.answer)}
		err := authenticate(s, "hunter", "secret")
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if got, want := s.sent.String(), "\x01\x00\x00\x00\x05PLAIN\x02\x00\x00\x00\x0e\x00hunter\x00secret"; got != want {
			t.Errorf("%s: sent %q, want %q", c.name, got, want)
		}
	}
}
