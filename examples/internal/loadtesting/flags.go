// Package loadtesting has the flags that say where the master of load tests
// is, and a master within the same process.
package loadtesting

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/api/server/loadtests"
	"github.com/opnfv/clover/examples/internal/cli"
)

// Flags say where the master is.
type Flags struct {
	master string
	files  certfile.Files
}

// Add adds the flags to a set.
func (f *Flags) Add(set *pflag.FlagSet) {
	set.StringVar(&f.master, "jmeter-master", "clover-jmeter-master.clover-system:50054", "`HOST:PORT` of the master of load tests")
	set.StringVar(&f.files.CA, "jmeter-ca-file", "", "PEM `file` with the authorities of its certificate; turns TLS to it on")
	set.StringVar(&f.files.Cert, "jmeter-cert-file", "", "PEM `file` with the certificate that is shown to it")
	set.StringVar(&f.files.Key, "jmeter-key-file", "", "PEM `file` with the certificate's key")
}

// maxAnswerBytes bounds what the master may answer.
const maxAnswerBytes = 64 << 20

// Apply puts the load test area into the options of a server, whose Logger has
// to be set. The master need not be there yet.
func (f *Flags) Apply(o *server.Options) (closeConn func() error, err error) {
	if _, _, err := net.SplitHostPort(f.master); err != nil {
		return nil, cli.Usagef("--jmeter-master: %w", err)
	}
	creds := insecure.NewCredentials()
	if f.files != (certfile.Files{}) {
		if f.files.CA == "" {
			return nil, cli.Usagef("--jmeter-ca-file is needed with --jmeter-cert-file")
		}
		if creds, err = certfile.Client(f.files, o.Logger); err != nil {
			return nil, cli.Usagef("--jmeter-ca-file, --jmeter-cert-file, --jmeter-key-file: %w", err)
		}
	}
	// A master that comes back is found soon, and one whose machine has vanished
	// is noticed.
	again := backoff.DefaultConfig
	again.BaseDelay, again.MaxDelay = 100*time.Millisecond, time.Second
	// gRPC's own resolver would wait ever longer for a name that is not there yet.
	conn, err := grpc.NewClient("passthrough:///"+f.master, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: server.MinPingInterval, Timeout: 10 * time.Second}))
	if err != nil {
		return nil, fmt.Errorf("--jmeter-master: %w", err)
	}
	o.LoadTests = loadtests.New(conn, f.master)
	return conn.Close, nil
}
