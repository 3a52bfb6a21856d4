package sdc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/api/agent"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/internal/sdc/ids"
	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
	"github.com/opnfv/clover/examples/internal/sdc/site"
	rules "github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/blocklist"
	"github.com/opnfv/clover/ids/starter"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// Names and ports of the guide.
const (
	port        = "9180"
	idsPort     = "80"
	controlPort = "50054"
	// idsControlPort is another, as alerts come from controlPort there.
	idsControlPort = "50052"
	proxyName      = "proxy-access-control"
	idsName        = "snort-ids"
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
	services []*service
	control  []*control
	proxies  []*proxy.Proxy // the first is proxy-access-control
	blocks   *blocklist.List
	alerts   *ids.Pipeline
	toProxy  *grpc.ClientConn // of the IDS
	state    string           // folder of what is kept
	temp     bool             // it ends with the chain
}

// control is the agent of a service.
type control struct {
	listener net.Listener
	server   *grpc.Server
}

// newChain opens the listeners of the guide's chain and lays out its routes.
func (s *Sample) newChain(ctx context.Context) (c *chain, err error) {
	c = &chain{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := c.openState(s.opts.StateDir); err != nil {
		return nil, err
	}
	if err := s.addProxy(ctx, c); err != nil {
		return nil, err
	}
	for version, servers := range map[string][]string{
		"v1": {"clover-server1", "clover-server2", "clover-server3"},
		"v2": {"clover-server4", "clover-server5"},
	} {
		svc := s.newService("http-lb", version, port)
		group := loadbalancer.Group{Name: "cloverlb", Host: loadbalancer.HostOfServer}
		for _, name := range servers {
			group.Servers = append(group.Servers, loadbalancer.Server{Address: name + ":" + port})
		}
		err := s.addSteered(ctx, c, svc, agent.Nginx{Role: agent.RoleBalancer}, proxy.Options{}, loadbalancer.Config{
			Name: svc.id(), Groups: []loadbalancer.Group{group}, Routes: []loadbalancer.Route{{Path: "/", Group: group.Name}},
		})
		if err != nil {
			return nil, err
		}
	}
	for i := 1; i <= 5; i++ {
		svc := s.newService(fmt.Sprintf("clover-server%d", i), "latest", port)
		err := s.addSteered(ctx, c, svc, agent.Nginx{Role: agent.RoleServer}, proxy.Options{Fallback: site.Content{}}, loadbalancer.Config{Name: svc.name})
		if err != nil {
			return nil, err
		}
	}
	return c, s.addIDS(ctx, c)
}

// openState makes the folder of what is kept; "" is one that ends with the
// chain.
func (c *chain) openState(dir string) (err error) {
	if dir == "" {
		c.temp = true
		c.state, err = os.MkdirTemp("", "clover-sdc-")
		return err
	}
	c.state = dir
	return os.MkdirAll(dir, 0o700)
}

// closeState ends what was kept for the time of the chain only.
func (c *chain) closeState() error {
	if !c.temp {
		return nil
	}
	return os.RemoveAll(c.state)
}

func (s *Sample) newService(name, version, port string) *service {
	return &service{name: name, version: version, sidecar: sidecar.New(
		sidecar.Identity{Service: name, Version: version, Port: port},
		sidecar.Options{Report: s.report, OnServed: s.served(name), IsCopy: proxy.IsCopy},
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

// addSteered adds a service of the built-in proxy, with its agent.
func (s *Sample) addSteered(ctx context.Context, c *chain, svc *service, a agent.Nginx, o proxy.Options, config loadbalancer.Config) error {
	o.Transport, o.Logger, o.ShutdownTimeout = svc.sidecar.Outbound(s.mesh), s.opts.Logger, timeout
	p := proxy.New(o)
	var err error
	if a.Agent, err = loadbalancer.NewAgent(p, loadbalancer.AgentOptions{Path: filepath.Join(c.state, svc.id()+".json")}); err != nil {
		return err
	}
	if err := a.Agent.Begin(ctx, config); err != nil {
		return fmt.Errorf("%s: %w", svc.id(), err)
	}
	a.Port = port
	c.proxies = append(c.proxies, p)
	if err := s.addControl(ctx, c, svc, controlPort, func(g *grpc.Server) { nginx.RegisterControllerServer(g, &a) }); err != nil {
		return err
	}
	return s.add(ctx, c, svc, port, p)
}

// addControl adds the agent of a service.
func (s *Sample) addControl(ctx context.Context, c *chain, svc *service, port string, register func(*grpc.Server)) error {
	l, err := listen(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", svc.id(), err)
	}
	g := grpc.NewServer(grpc.UnaryInterceptor(svc.sidecar.UnaryServer()))
	register(g)
	c.control = append(c.control, &control{l, g})
	s.setAgent(svc.id()+":"+port, l.Addr().String())
	return nil
}

// addProxy adds the proxy. Alerts cannot keep this machine out.
func (s *Sample) addProxy(ctx context.Context, c *chain) error {
	svc := s.newService(proxyName, "latest", port)
	var err error
	c.blocks, err = blocklist.Open(blocklist.Options{Path: filepath.Join(c.state, "blocklist.jsonl"), Logger: s.opts.Logger, Policy: blocklist.Policy{
		For: s.opts.BlockFor, Never: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}})
	if err != nil {
		return err
	}
	a := agent.Nginx{Role: agent.RoleProxy, Blocks: &agent.Blocks{List: c.blocks, Logger: s.opts.Logger}}
	group := loadbalancer.Group{Name: "proxy", Host: loadbalancer.HostOfServer, Servers: []loadbalancer.Server{{Address: "http-lb:" + port}}}
	return s.addSteered(ctx, c, svc, a, proxy.Options{Refuse: c.blocks.Blocked}, loadbalancer.Config{
		Name: proxyName, Groups: []loadbalancer.Group{group}, Routes: []loadbalancer.Route{{Path: "/", Group: group.Name}},
		Mirror: loadbalancer.Mirror{Address: idsName + ":" + idsPort, Timeout: timeout},
		Access: loadbalancer.Access{TrustedHops: s.opts.trustedHops()},
	})
}

// addIDS adds the IDS and its connection to the proxy.
func (s *Sample) addIDS(ctx context.Context, c *chain) error {
	svc := s.newService(idsName, "latest", idsPort)
	authority := proxyName + ":" + controlPort
	var err error
	c.toProxy, err = grpc.NewClient("passthrough:///"+authority, grpc.WithContextDialer(s.DialAgent),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(svc.sidecar.UnaryClient(authority)))
	if err != nil {
		return err
	}
	engine, source := ids.NewEngine(), ids.NewSource()
	c.alerts, err = ids.NewPipeline(ids.PipelineOptions{
		Source: source, SpoolDir: filepath.Join(c.state, "alerts"), Grace: timeout, Logger: s.opts.Logger,
		Proxy: &agent.ProxySink{Client: nginx.NewControllerClient(c.toProxy), InTrace: svc.sidecar.InTrace},
	})
	if err != nil {
		return err
	}
	base, _ := starter.Rules(rules.Suricata)
	control := &agent.Snort{Engine: engine, Base: base, LocalFile: filepath.Join(c.state, "local.rules"), Alerts: c.alerts.Ledger}
	if err := control.Load(ctx); err != nil {
		return err
	}
	err = s.addControl(ctx, c, svc, idsControlPort, func(g *grpc.Server) { snort.RegisterControllerServer(g, control) })
	if err != nil {
		return err
	}
	return s.add(ctx, c, svc, idsPort, &ids.Monitor{
		Engine: engine, Raise: source.Raise, TrustedHops: 1, Traceparent: svc.sidecar.Traceparent,
	})
}

// close closes what a chain that cannot run has opened.
func (c *chain) close() {
	var err error
	for _, svc := range c.services {
		err = errors.Join(err, svc.listener.Close())
	}
	for _, ctl := range c.control {
		err = errors.Join(err, ctl.listener.Close())
	}
	if c.toProxy != nil {
		err = errors.Join(err, c.toProxy.Close())
	}
	if c.alerts != nil {
		err = errors.Join(err, c.alerts.Close())
	}
	if c.blocks != nil {
		err = errors.Join(err, c.blocks.Close())
	}
	err = errors.Join(err, c.closeState())
	_ = err // the reason why it cannot run is what matters
}
