package testutil

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// CassandraServer is a running node of Apache Cassandra.
type CassandraServer struct {
	// Addr is where CQL is spoken, e.g. "127.0.0.1:PORT".
	Addr string

	t       testing.TB
	command Command
	process *Process
	disk    string // the folder with its files, where that is bounded
	mount   *Process
}

// CassandraOptions say how a Cassandra runs. The zero value works.
type CassandraOptions struct {
	// CertFile and KeyFile have it speak TLS besides plain text, for
	// connections that want it.
	CertFile, KeyFile string
	// Disk bounds what its files may take, in bytes, by a file system in
	// memory that ends with the server; see [CassandraServer.FillDisk]. It
	// needs root on Linux. 0: as much as there is.
	Disk int64
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
	n := cassandraNode{host: "127.0.0.1", port: FreePort(t), storage: FreePort(t), heap: 512}
	n.seeds = []string{n.host}
	s := newCassandra(t, o, n)
	s.start()
	return s
}

// CassandraCluster runs a cluster of real Cassandras until the end of the
// test, on the addresses 127.0.0.2, 127.0.0.3 and so on, with a port that is
// free on all of them and a heap of 320 MiB each. They are started one after
// the other, which takes 20 s and more for each.
func CassandraCluster(t testing.TB, nodes int, o CassandraOptions) []*CassandraServer {
	t.Helper()
	port, storage := FreePort(t), FreePort(t)
	// All are seeds: one that is not would have to be answered at once.
	var seeds []string
	for i := range nodes {
		seeds = append(seeds, fmt.Sprintf("127.0.0.%d", i+2))
	}
	var servers []*CassandraServer
	for i, host := range seeds {
		s := newCassandra(t, o, cassandraNode{
			host: host, port: port, storage: storage, seeds: seeds, heap: 320,
			token: int64(uint64(i)*(math.MaxUint64/uint64(nodes)) + 1<<62),
		})
		s.start()
		servers = append(servers, s)
	}
	return servers
}

// cassandraNode is where a server listens, whom it asks for the others, and
// what is its part of the ring.
type cassandraNode struct {
	host          string
	seeds         []string
	port, storage int
	token         int64
	heap          int // MiB
}

func newCassandra(t testing.TB, o CassandraOptions, n cassandraNode) *CassandraServer {
	t.Helper()
	path := Require(t, components.Cassandra())
	if err := components.EnsureJava(t.Context(), os.Stderr); err != nil {
		Missing(t, components.Cassandra().Name, err.Error())
	}
	dir := t.TempDir()
	if o.CertFile != "" {
		o.CertFile = oneFile(t, filepath.Join(dir, "tls.pem"), o.KeyFile, o.CertFile)
	}
	for name, text := range map[string]string{"cassandra.yaml": o.yaml(n), "logback.xml": cassandraLog} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatalf("cassandra: %v", err)
		}
	}
	// The first user is made at once.
	env := []string{fmt.Sprintf("JVM_ARGS=-Xms%dm -Xmx%dm -Dcassandra.superuser_setup_delay_ms=0", n.heap, n.heap)}
	if !o.Fast {
		env = append(env, "CLOVER_JIT=1")
	}
	s := &CassandraServer{
		Addr: net.JoinHostPort(n.host, strconv.Itoa(n.port)), t: t,
		command: Command{Name: "cassandra", Path: path, Args: []string{dir}, Dir: dir, Env: env},
	}
	if o.Disk > 0 {
		s.limitDisk(o.Disk)
	}
	return s
}

// oneFile puts a key and its certificate into one file.
func oneFile(t testing.TB, path string, parts ...string) string {
	t.Helper()
	var all []byte
	for _, part := range parts {
		data, err := os.ReadFile(part)
		if err != nil {
			t.Fatalf("cassandra: %v", err)
		}
		all = append(all, data...)
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatalf("cassandra: %v", err)
	}
	return path
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
func (o CassandraOptions) yaml(n cassandraNode) string {
	var seeds []string
	for _, host := range n.seeds {
		seeds = append(seeds, net.JoinHostPort(host, strconv.Itoa(n.storage)))
	}
	lines := []string{
		"cluster_name: clover-test",
		"partitioner: org.apache.cassandra.dht.Murmur3Partitioner",
		"num_tokens: 1",
		"auto_bootstrap: false",
		"seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: '" + strings.Join(seeds, ",") + "'}]}]",
		"listen_address: " + n.host,
		"rpc_address: " + n.host,
		"storage_port: " + strconv.Itoa(n.storage),
		"native_transport_port: " + strconv.Itoa(n.port),
		"initial_token: " + strconv.FormatInt(n.token, 10),
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

// Kill ends Cassandra at once.
func (s *CassandraServer) Kill() {
	s.t.Helper()
	s.process.Kill()
}

// Restart stops Cassandra if it runs and starts it on the same port with the
// same data.
func (s *CassandraServer) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}
