package sdc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/examples/internal/sdc/balancer"
	"github.com/opnfv/clover/examples/internal/sdc/control"
	"github.com/opnfv/clover/examples/internal/sdc/ids"
	"github.com/opnfv/clover/examples/internal/sdc/proxy"
	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
	"github.com/opnfv/clover/examples/internal/sdc/site"
)

// Names and ports of the guide.
const (
	port        = "9180"
	idsPort     = "80"
	controlPort = "50054"
	proxyName   = "proxy-access-control"
	idsName     = "snort-ids"
)

// timeout bounds requests and copies. It is long, so that a busy machine
// changes no answer.
const timeout = time.Minute

// service is one workload of the chain.
type service struct {
	name, version string
	listener      net.Listener
	server        *http.Server
	sidecar       *sidecar.Sidecar
}

// id tells apart the versions of a service.
func (s *service) id() string {
	if s.version == "latest" {
		return s.name
	}
	return s.name + "-" + s.version
}

// chain is everything that serves.
type chain struct {
	services        []*service
	proxy           *proxy.Proxy
	alerts          *ids.Alerts
	control         *grpc.Server // of the proxy: takes alerts
	controlListener net.Listener
	controlConn     *grpc.ClientConn // of the IDS, to it
}

// newChain opens the listeners of the guide's chain and lays out its routes.
func (s *Sample) newChain(ctx context.Context) (c *chain, err error) {
	c = &chain{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := s.addProxy(ctx, c); err != nil {
		return nil, err
	}
	for version, servers := range map[string][]string{
		"v1": {"clover-server1:" + port, "clover-server2:" + port, "clover-server3:" + port},
		"v2": {"clover-server4:" + port, "clover-server5:" + port},
	} {
		svc := s.newService("http-lb", version, port)
		b, err := balancer.New(balancer.Options{Servers: servers, Transport: svc.sidecar.Outbound(s.mesh), Logger: s.opts.Logger})
		if err != nil {
			return nil, err
		}
		if err := s.add(ctx, c, svc, port, b); err != nil {
			return nil, err
		}
	}
	for i := 1; i <= 5; i++ {
		server, err := site.New(site.Options{Logger: s.opts.Logger})
		if err != nil {
			return nil, err
		}
		if err := s.add(ctx, c, s.newService(fmt.Sprintf("clover-server%d", i), "latest", port), port, server); err != nil {
			return nil, err
		}
	}
	return c, s.addIDS(ctx, c)
}

func (s *Sample) newService(name, version, port string) *service {
	return &service{name: name, version: version, sidecar: sidecar.New(
		sidecar.Identity{Service: name, Version: version, Port: port},
		sidecar.Options{Report: s.report, OnServed: s.served(name)},
	)}
}

func (s *Sample) add(ctx context.Context, c *chain, svc *service, port string, handler http.Handler) error {
	var err error
	if svc.listener, err = listen(ctx); err != nil {
		return fmt.Errorf("%s: %w", svc.id(), err)
	}
	svc.server = &http.Server{Handler: svc.sidecar.Inbound(handler), ReadHeaderTimeout: timeout}
	c.services = append(c.services, svc)
	s.mesh.add(svc.name+":"+port, svc.listener.Addr().String())
	return nil
}

// addProxy adds the proxy. The sample's load comes from loopback, which
// alerts cannot keep out.
func (s *Sample) addProxy(ctx context.Context, c *chain) error {
	svc := s.newService(proxyName, "latest", port)
	var err error
	c.proxy, err = proxy.New(proxy.Options{
		Upstream: "http-lb:" + port, Mirror: idsName + ":" + idsPort, MirrorTimeout: timeout, Transport: svc.sidecar.Outbound(s.mesh),
		BlockFor: time.Minute, NeverBlock: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Logger: s.opts.Logger,
	})
	if err != nil {
		return err
	}
	if c.controlListener, err = listen(ctx); err != nil {
		return fmt.Errorf("%s: %w", svc.id(), err)
	}
	c.control = grpc.NewServer(grpc.UnaryInterceptor(svc.sidecar.UnaryServer()))
	nginx.RegisterControllerServer(c.control, &control.Nginx{Proxy: c.proxy})
	return s.add(ctx, c, svc, port, c.proxy)
}

// addIDS adds the IDS and its connection to the proxy.
func (s *Sample) addIDS(ctx context.Context, c *chain) error {
	svc := s.newService(idsName, "latest", idsPort)
	authority := proxyName + ":" + controlPort
	var err error
	c.controlConn, err = grpc.NewClient("passthrough:///"+c.controlListener.Addr().String(), grpc.WithAuthority(authority),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(svc.sidecar.UnaryClient(authority)))
	if err != nil {
		return err
	}
	c.alerts = ids.NewAlerts(nil, ids.NewProxyNotifier(c.controlConn), s.opts.Logger)
	return s.add(ctx, c, svc, idsPort, &ids.Monitor{Engine: ids.NewEngine(), Raise: c.alerts.Raise, TrustedHops: 1})
}

// close closes what a chain that cannot run has opened.
func (c *chain) close() {
	var err error
	for _, svc := range c.services {
		err = errors.Join(err, svc.listener.Close())
	}
	if c.controlListener != nil {
		err = errors.Join(err, c.controlListener.Close())
	}
	if c.controlConn != nil {
		err = errors.Join(err, c.controlConn.Close())
	}
	_ = err // the reason why it cannot run is what matters
}
