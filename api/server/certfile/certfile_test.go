package certfile_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// copyTo copies files as a renewal does.
func copyTo(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, b, 0o600))
}

// serve answers each TLS connection of gRPC with the name of its client and
// ends with the test.
func serve(t *testing.T, config *tls.Config) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			if c, info, err := credentials.NewTLS(config).ServerHandshake(conn); err == nil {
				_, _ = io.WriteString(c, info.(credentials.TLSInfo).State.VerifiedChains[0][0].Subject.CommonName)
				c.Close()
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// dial connects by the credentials of a gRPC client.
func dial(t *testing.T, addr string, files certfile.Files) (string, error) {
	t.Helper()
	creds, err := certfile.Client(files, slog.New(slog.DiscardHandler))
	check(t, err)
	conn, err := net.Dial("tcp", addr)
	check(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, _, err := creds.Clone().ClientHandshake(ctx, "localhost:1", conn)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// TestRenewal replaces the authority of a server and its clients while the
// server runs.
func TestRenewal(t *testing.T) {
	before, after := testutil.NewAuthority(t), testutil.NewAuthority(t)
	dir := t.TempDir()
	files := certfile.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt")}
	install := func(a *testutil.Authority) {
		cert, key := a.Server(t)
		copyTo(t, cert, files.Cert)
		copyTo(t, key, files.Key)
		copyTo(t, a.File, files.CA)
	}
	install(before)
	var log testutil.Output
	config, err := certfile.Server(files, true, slog.New(slog.NewTextHandler(&log, nil)))
	check(t, err)
	addr := serve(t, config)
	client := func(a *testutil.Authority, name string) certfile.Files {
		cert, key := a.Client(t, name)
		return certfile.Files{Cert: cert, Key: key, CA: a.File}
	}
	first, second := client(before, "first"), client(after, "second")
	if name, err := dial(t, addr, first); name != "first" || err != nil {
		t.Errorf("before: %q, %v", name, err)
	}
	if name, err := dial(t, addr, certfile.Files{CA: before.File}); err == nil {
		t.Errorf("without a certificate: %q", name)
	}

	// A key that does not fit, as between two writes, changes nothing.
	_, key := after.Server(t)
	copyTo(t, key, files.Key)
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		name, err := dial(t, addr, first)
		return err == nil && name == "first" && strings.Contains(log.String(), "stays in force"), log.String()
	})
	install(after)
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		name, err := dial(t, addr, second)
		return err == nil && name == "second", name
	})
	if name, err := dial(t, addr, first); err == nil {
		t.Errorf("a client of the old authority is %q", name)
	}
	if n := strings.Count(log.String(), "stays in force"); n != 1 {
		t.Errorf("%d faults are logged:\n%s", n, log.String())
	}
}

func TestFilesWithFaults(t *testing.T) {
	a := testutil.NewAuthority(t)
	cert, key := a.Server(t)
	_, otherKey := a.Server(t)
	silent := slog.New(slog.DiscardHandler)
	for want, files := range map[string]certfile.Files{
		"needs a certificate file": {CA: a.File},
		"no such file":             {Cert: cert, Key: key + ".not"},
		"does not match":           {Cert: cert, Key: otherKey},
		"no PEM certificate":       {Cert: cert, Key: key, CA: key},
	} {
		if _, err := certfile.Server(files, false, silent); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("server: %v, want %q", err, want)
		}
	}
	if _, err := certfile.Client(certfile.Files{CA: a.File, Cert: cert}, silent); err == nil || !strings.Contains(err.Error(), "key file") {
		t.Errorf("client: %v", err)
	}
}
