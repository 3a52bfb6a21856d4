package testutil

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// RedisServer is a running Redis.
type RedisServer struct {
	// Addr is "127.0.0.1:PORT".
	Addr string

	t       testing.TB
	command Command
	process *Process
}

// Redis runs a real Redis until the end of the test, empty, in memory only,
// with further arguments, if any. It is ready when it returns.
func Redis(t testing.TB, more ...string) *RedisServer {
	t.Helper()
	path := Require(t, components.Redis())
	addr := FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("redis: %v", err)
	}
	s := &RedisServer{Addr: addr, t: t, command: Command{
		Name: "redis", Path: path,
		Args: append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, more...),
	}}
	s.start()
	return s
}

func (s *RedisServer) start() {
	s.t.Helper()
	s.process = Start(s.t, s.command)
	s.process.WaitReady(30*time.Second, s.ping)
}

// pingLimit bounds one question to a server that may have to wait for its
// turn on a busy machine.
const pingLimit = 20 * time.Second

// ping says PING in Redis' protocol.
func (s *RedisServer) ping(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(pingLimit)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, 16)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if text := string(answer[:n]); !strings.HasPrefix(text, "+PONG") {
		return fmt.Errorf("it answers %q", text)
	}
	return nil
}

// CLI runs redis-cli with some arguments and returns what it prints, without
// the line's end. It fails the test if Redis answers with an error.
func (s *RedisServer) CLI(args ...string) string {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.t.Fatalf("redis: %v", err)
	}
	// The component has it beside the server, with libraries of its own; else
	// it is the system's.
	path, env := "redis-cli", os.Environ()
	root := filepath.Join(filepath.Dir(s.command.Path), "usr")
	if beside := filepath.Join(root, "bin", "redis-cli"); fileExists(beside) {
		libraries, err := filepath.Glob(filepath.Join(root, "lib", "*-linux-gnu*"))
		if err != nil {
			s.t.Fatalf("redis: %v", err)
		}
		path, env = beside, append(env, "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	}
	cmd := exec.CommandContext(s.t.Context(), path, append([]string{"-e", "-p", port}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("redis-cli %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Stop ends Redis; what it held is gone.
func (s *RedisServer) Stop() {
	s.t.Helper()
	s.process.Stop()
}

// Restart stops Redis if it runs and starts it on the same port, empty.
func (s *RedisServer) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}
