//go:build unix

package alert

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// shortDir is short enough for the path of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// dial connects as soon as somebody listens.
func dial(t *testing.T, network, path string) net.Conn {
	t.Helper()
	var conn net.Conn
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		c, err := net.Dial(network, path)
		if err != nil {
			return false, err.Error()
		}
		conn = c
		return true, ""
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSocketTakesStreams(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	s := NewSocket(path, SocketOptions{})
	r := readFrom(t, s, nil)
	text := eveLine(1) + otherLine(2) + "no JSON\n" + eveLine(2)
	conn := dial(t, "unix", path)
	for len(text) > 0 {
		n := min(len(text), 50)
		if _, err := conn.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	r.want(2)
	if _, err := conn.Write([]byte(eveLine(9)[:30])); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	conn = dial(t, "unix", path)
	if _, err := conn.Write([]byte(eveLine(3))); err != nil {
		t.Fatal(err)
	}
	r.want(3)
	testutil.Eventually(t, 5*time.Second, func() (bool, string) { return s.Stats().Truncated == 1, "no half line seen" })
	if st := s.Stats(); st.Rejected != 1 || st.Other != 1 || st.Alerts != 3 {
		t.Errorf("%+v", st)
	}
	if err := NewSocket(path, SocketOptions{}).Run(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), "listens there already") {
		t.Errorf("a second one: %v", err)
	}
	r.stop()
	readFrom(t, NewSocket(path, SocketOptions{}), nil) // the path is free again
	dial(t, "unix", path)
}

func TestSocketTakesDatagrams(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	s := NewSocket(path, SocketOptions{Datagram: true})
	r := readFrom(t, s, nil)
	conn := dial(t, "unixgram", path)
	for _, text := range []string{eveLine(1), strings.TrimSuffix(eveLine(2), "\n"), otherLine(1), eveLine(3)} {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	r.want(3)
}

func TestSocketPassesOnErrors(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	done := make(chan error, 1)
	go func() {
		done <- NewSocket(path, SocketOptions{}).Run(context.WithoutCancel(t.Context()), "", func(*Alert, string) error { return os.ErrDeadlineExceeded })
	}()
	if _, err := dial(t, "unix", path).Write([]byte(eveLine(1))); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
