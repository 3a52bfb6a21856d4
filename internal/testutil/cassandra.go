package testutil

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// CassandraServer is a running Apache Cassandra of one node.
type CassandraServer struct {
	// Addr is "127.0.0.1:PORT", where CQL is spoken.
	Addr string

	t       testing.TB
	command Command
	process *Process
}

// CassandraOptions say how a Cassandra runs. The zero value works.
type CassandraOptions struct {
	// CertFile and KeyFile have it speak TLS besides plain text.
	CertFile, KeyFile string
	// Password has it ask for a user and a password; it knows the user
	// cassandra with the password cassandra then.
	Password bool
	// Fast lets Java compile what it runs as well as it can. Without it
	// starting and short tests take less of the processor.
	Fast bool
}

// Cassandra runs a real Cassandra, empty, until the end of the test, with a
// heap of 512 MiB. It answers CQL when it returns, which takes about 20 s: let
// the tests of a package share one.
func Cassandra(t testing.TB, o CassandraOptions) *CassandraServer {
	t.Helper()
	path := Require(t, components.Cassandra())
	if err := components.EnsureJava(t.Context(), os.Stderr); err != nil {
		Missing(t, components.Cassandra().Name, err.Error())
	}
	dir := t.TempDir()
	addr := FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("cassandra: %v", err)
	}
	for name, text := range map[string]string{
		"cassandra.yaml": o.yaml(port, fmt.Sprint(FreePort(t))),
		"logback.xml":    cassandraLog,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatalf("cassandra: %v", err)
		}
	}
	s := &CassandraServer{Addr: addr, t: t, command: Command{Name: "cassandra", Path: path, Args: []string{dir}, Dir: dir}}
	if !o.Fast {
		s.command.Env = []string{"CLOVER_JIT=1"}
	}
	s.start()
	return s
}

const cassandraLog = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
`

// yaml is the server's configuration, with little memory and no snapshots of
// what is truncated.
func (o CassandraOptions) yaml(port, storagePort string) string {
	lines := []string{
		"cluster_name: clover-test",
		"partitioner: org.apache.cassandra.dht.Murmur3Partitioner",
		"num_tokens: 1",
		"auto_bootstrap: false",
		"seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: '127.0.0.1:" + storagePort + "'}]}]",
		"listen_address: 127.0.0.1",
		"rpc_address: 127.0.0.1",
		"storage_port: " + storagePort,
		"native_transport_port: " + port,
		"endpoint_snitch: SimpleSnitch",
		"commitlog_sync: periodic",
		"commitlog_sync_period: 10000ms",
		"auto_snapshot: false",
		"memtable_heap_space: 128MiB",
		"memtable_offheap_space: 64MiB",
		"file_cache_size: 32MiB",
		"key_cache_size: 8MiB",
		"networking_cache_size: 16MiB",
		"concurrent_reads: 16",
		"concurrent_writes: 16",
		"paxos_variant: v2",
		"hinted_handoff_enabled: false",
		// A loaded machine takes its time, and a test's client has its own.
		"read_request_timeout: 20s",
		"range_request_timeout: 20s",
		"write_request_timeout: 20s",
		"cas_contention_timeout: 20s",
	}
	if o.Password {
		lines = append(lines, "authenticator: PasswordAuthenticator", "authorizer: CassandraAuthorizer")
	}
	if o.CertFile != "" {
		lines = append(lines, "client_encryption_options:", "  enabled: true", "  optional: true",
			"  ssl_context_factory:", "    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory",
			"  keystore: "+o.CertFile)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *CassandraServer) start() {
	s.t.Helper()
	s.process = Start(s.t, s.command)
	s.process.WaitReady(5*time.Minute, s.options)
}

// options asks what CQL's server supports, without a session.
func (s *CassandraServer) options(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{4, 0, 0, 0, 5, 0, 0, 0, 0}); err != nil {
		return err
	}
	answer := make([]byte, 9)
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if answer[4] != 6 {
		return fmt.Errorf("it answers with opcode %d, not SUPPORTED", answer[4])
	}
	return nil
}

// PID is that of the server.
func (s *CassandraServer) PID() int { return s.process.PID() }

// Stop ends Cassandra; what it has acknowledged is there when it starts again.
func (s *CassandraServer) Stop() {
	s.t.Helper()
	s.process.Stop()
}

// Restart stops Cassandra if it runs and starts it on the same port with the
// same data.
func (s *CassandraServer) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}
