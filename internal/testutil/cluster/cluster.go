package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// component names the cluster in CLOVER_TEST_REQUIRE.
const component = "kubernetes"

// Cluster is a Kubernetes cluster for tests.
type Cluster struct {
	kubeconfig  string
	nodeAddress string
	auditLog    string
	load        func(ctx context.Context, file string) error
}

// Options say how to make a cluster.
type Options struct {
	// Name is the cluster's name.
	Name string
	// Keep lets the cluster live on when this process ends.
	Keep bool
	// Progress gets lines on what is done.
	Progress io.Writer
}

// shared is the cluster of this test process.
var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
	stop    func() error
}

// Start returns the cluster of this test process. The first call makes it,
// in about half a minute; all later ones get the same, so tests work in
// namespaces of their own. If KUBECONFIG is set, it is that cluster and
// nothing is made. A machine that cannot have one skips the test, or fails
// it where CLOVER_TEST_REQUIRE asks for "kubernetes".
//
// The package's TestMain has to run the tests by [M], which removes the
// cluster after them.
func Start(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		requireComponents(t)
		shared.cluster, shared.stop, shared.err = start(t.Context())
	}
	if errors.Is(shared.err, errors.ErrUnsupported) {
		testutil.Missing(t, component, shared.err.Error())
	}
	if shared.err != nil {
		t.Fatalf("no cluster: %v", shared.err)
	}
	return shared.cluster
}

// requireComponents has what a cluster is made of made.
func requireComponents(t testing.TB) {
	t.Helper()
	if os.Getenv("KUBECONFIG") != "" {
		return
	}
	testutil.Require(t, components.Kind())
	if !components.DockerAnswers(t.Context()) {
		testutil.Require(t, components.NodeRoot())
		testutil.Require(t, components.NodeImage())
	}
}

// start uses the cluster of KUBECONFIG or makes one.
func start(ctx context.Context) (*Cluster, func() error, error) {
	if file := os.Getenv("KUBECONFIG"); file != "" {
		c, err := existing(ctx, file)
		return c, func() error { return nil }, err
	}
	return create(ctx, fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:6])))
}

// using returns what tests need of a cluster that was made here.
func using(s *State) (*Cluster, error) {
	kubeconfig, err := s.Kubeconfig()
	if err != nil {
		return nil, err
	}
	log, err := s.AuditLog()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(log); err != nil {
		log = "" // an older cluster, or one whose API server has not logged yet
	}
	return &Cluster{
		kubeconfig: kubeconfig, nodeAddress: s.NodeAddress, auditLog: log,
		load: func(ctx context.Context, file string) error { return Load(ctx, s.Name, file) },
	}, nil
}

// M runs the tests of a package and removes the cluster and programs after them. Use it
// in TestMain, alone or with package leak:
//
//	func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }
type M struct {
	// M is what TestMain gets.
	M interface{ Run() int }
}

// Run runs the tests and returns the exit code.
func (m M) Run() int {
	code := m.M.Run()
	if err := removePrograms(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "remove programs:", err)
		code = max(code, 1)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.stop == nil {
		return code
	}
	if err := shared.stop(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "remove the test cluster:", err)
		return max(code, 1)
	}
	return code
}

// Kubeconfig is the path of a file with which programs reach the cluster as
// its administrator.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// NodeAddress is an address of a node at which this machine reaches
// NodePorts.
func (c *Cluster) NodeAddress() string { return c.nodeAddress }

// AuditLog is the path of the API server's audit log, with an event of
// audit.k8s.io/v1 a line. Where the cluster is somebody else's, the test ends
// as with [testutil.Missing].
func (c *Cluster) AuditLog(t testing.TB) string {
	t.Helper()
	if c.auditLog == "" {
		testutil.Missing(t, component, "the cluster has no audit log that can be read here: unset KUBECONFIG, or make the cluster again by 'make cluster-up'")
	}
	return c.auditLog
}

// LoadImage puts an image into the node, so that pods use it without a
// registry. The file is an image archive, as "docker save" writes it or an
// OCI layout as a tar file. Where that is not possible, because the cluster
// is somebody else's, the test ends as with [testutil.Missing].
func (c *Cluster) LoadImage(t testing.TB, file string) {
	t.Helper()
	if c.load == nil {
		testutil.Missing(t, component, "images cannot be loaded into the cluster of KUBECONFIG, which Clover has not made")
	}
	if err := c.load(t.Context(), file); err != nil {
		t.Fatalf("load image %s: %v", file, err)
	}
}
