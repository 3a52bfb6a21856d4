package loadtesting

import (
	"context"
	"net"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/loadtest"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/loadtests"
	"github.com/opnfv/clover/jmeter/master"
)

// Local is a master in this process, which nobody reaches but by the API.
type Local struct {
	master *master.Master
	pipe   *bufconn.Listener
	conn   *grpc.ClientConn
}

// NewLocal opens a master and puts it into the options of a server. Tests run
// while Run does. Close has to be called.
func NewLocal(o master.Options, api *server.Options) (*Local, error) {
	m, err := master.New(o)
	if err != nil {
		return nil, err
	}
	l := &Local{master: m, pipe: bufconn.Listen(64 << 10)}
	l.conn, err = grpc.NewClient("passthrough:///master", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.pipe.DialContext(ctx) }))
	if err != nil {
		return nil, err
	}
	api.LoadTests = loadtests.New(l.conn, "this process")
	return l, nil
}

// Run runs tests until ctx ends.
func (l *Local) Run(ctx context.Context) error {
	srv := grpc.NewServer()
	jmeter.RegisterControllerServer(srv, loadtest.Service{Master: l.master})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return srv.Serve(l.pipe) })
	group.Go(func() error { return l.master.Run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		srv.Stop()
		return nil
	})
	return group.Wait()
}

// Close closes the connection to the master.
func (l *Local) Close() error { return l.conn.Close() }
