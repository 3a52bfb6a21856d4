package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestCapture reads a capture as a user does.
func TestCapture(t *testing.T) {
	var capture bytes.Buffer
	if err := sessiontest.WriteCapture(&capture, sessiontest.Pipelined(4).Segments); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(file, capture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]int{"text": 4, "json": 4, "none": 0} {
		var out, errs testutil.Output
		if err := run(t.Context(), []string{"--pcap", file, "-o", output}, &out, &errs); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("-o %s: %d lines, want %d:\n%s", output, got, want, out.String())
		}
		if !strings.Contains(errs.String(), "4 sessions on 1 connections") || !strings.Contains(errs.String(), "100.0 % whole") {
			t.Errorf("summary: %s", errs.String())
		}
	}
	var out testutil.Output
	if err := run(t.Context(), []string{"--pcap", file, "--port", "81"}, &out, &testutil.Output{}); err != nil || out.String() != "" {
		t.Errorf("another port: %v, %q", err, out.String())
	}
}

// TestWrongUse holds that what is wrong is said, with what would be right.
func TestWrongUse(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "say what to trace: one of --interface"},
		{"--interface lo --pcap x", "say what to trace: one of --interface"},
		{"--interface lo -o xml", "want text, json or none"},
		{"--interface lo --port http", "want a port, or PORT=PROTOCOL"},
		{"--interface lo --port 80=", "want a port, or PORT=PROTOCOL"},
		{"--interface lo --hook xdp", "want auto, tcx or clsact"},
		{"--interface lo --buffer file", "want auto, ring or perf"},
		{"--interface lo --label a:b", "want NAMESPACE"},
		{"--interface lo --limit bytes=1", "want connections, connection_bytes"},
		{"--interface lo --egress-match 80", "want IP:PORT"},
		{"--interface lo --redis http://x", "--redis: "},
		{"--interface lo --redis redis://:hunter2@x:port", "--redis: no address of a Redis: want HOST:PORT"},
		{"--interface lo --redis one:1?cluster=true", "have to be on one server"},
		{"--interface lo --log-level loud", "--log-level"},
		{"--interface lo --http-addr :9466", "is not a loopback address"},
		{"--interface lo --http-addr 192.0.2.1:9466 --tls-cert-file a --tls-key-file b", "is not a loopback address"},
		{"--interface lo --http-addr :9466 --tls-client-ca-file ca", "are needed together"},
		{"--interface lo --tls-client-name a", "needs --tls-client-ca-file"},
		{"--pcap " + filepath.Join(t.TempDir(), "absent"), "no such file"},
		{"--kubernetes --kubeconfig absent", "--kubeconfig"},
		{"check it", "is not expected"},
	} {
		var out, errs testutil.Output
		err := run(context.Background(), strings.Fields(c.args), &out, &errs)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

// TestExplain says what to do where the kernel refuses.
func TestExplain(t *testing.T) {
	for err, want := range map[error]string{fs.ErrPermission: "try sudo", errors.ErrUnsupported: "--pcap FILE"} {
		if got := explain(err); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v, want %q", err, got, want)
		}
	}
}
