package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"github.com/opnfv/clover/api/agent"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/sdc/site"
	"github.com/opnfv/clover/ids/alert"
	alertredis "github.com/opnfv/clover/ids/alert/redis"
	"github.com/opnfv/clover/ids/blocklist"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// proxyFlags are those of sdc proxy.
type proxyFlags struct {
	upstreams     []string
	mirror        string
	mirrorTimeout time.Duration
	hops          int
	block         blockFlags
	redis         string
}

// blockFlags say which alerts keep clients out.
type blockFlags struct {
	policy blocklist.Policy
	blocks time.Duration
	never  []string
	shared []string
}

func (b *blockFlags) add(f *pflag.FlagSet) {
	f.DurationVar(&b.blocks, "block-for", blocklist.DefaultFor, "how long an alert keeps its client out; 0: alerts are noted only")
	f.IntVar(&b.policy.MaxPriority, "block-priority", 0, "highest `priority` of a signature that blocks, 1 being the most severe; 0: every one")
	f.IntVar(&b.policy.After, "block-after", 0, "how many alerts a client may raise before it is kept out")
	f.IntVar(&b.policy.MaxNearby, "block-nearby", blocklist.DefaultMaxNearby, "how many addresses of one /24 (IPv6: /48) alerts may keep out, -1 for any number")
	f.BoolVar(&b.policy.DryRun, "block-dry-run", false, "record whom alerts would keep out, and let them through")
	f.StringSliceVar(&b.never, "never-block", []string{"127.0.0.0/8", "::1/128"}, "`networks` that alerts cannot keep out")
	f.StringSliceVar(&b.shared, "shared", nil, "`addresses` that many clients share, as behind a NAT: alerts do not keep them out")
}

func (b *blockFlags) open(o blocklist.Options) (*blocklist.List, error) {
	if b.policy.For = b.blocks; b.blocks == 0 {
		b.policy.For = -1
	}
	var err error
	if b.policy.Never, err = prefixes("--never-block", b.never); err != nil {
		return nil, err
	}
	if b.policy.Shared, err = prefixes("--shared", b.shared); err != nil {
		return nil, err
	}
	o.Policy = b.policy
	return blocklist.Open(o)
}

func prefixes(flag string, texts []string) (list []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := blocklist.ParsePrefix(text)
		if err != nil {
			return nil, cli.Usagef("%s: %w", flag, err)
		}
		list = append(list, p)
	}
	return list, nil
}

func runProxy(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var p proxyFlags
	f := pflag.NewFlagSet("sdc proxy", pflag.ContinueOnError)
	c.add(f, "proxy-access-control", "127.0.0.1:9180", "127.0.0.1:50054")
	c.addEngine(f)
	f.StringSliceVar(&p.upstreams, "upstream", []string{"http-lb:9180"}, "`addresses` that requests are forwarded to in turn")
	f.StringVar(&p.mirror, "mirror", "snort-ids:80", "`address` that gets a copy of each request; empty for none")
	f.DurationVar(&p.mirrorTimeout, "mirror-timeout", 2*time.Second, "longest time for a copy; requests do not wait for it")
	f.IntVar(&p.hops, "trusted-hops", 0, "proxies before this one that append to X-Forwarded-For: 1 behind an ingress gateway")
	p.block.add(f)
	f.StringVar(&p.redis, "redis", "", "`address` or URL of Redis, where events are that an alert names by their key only")
	if err := parse(f, args, stderr, "Forwards requests, mirrors them to the IDS, blocks clients it has alerts of.\n\nUsage:\n  sdc proxy [flags]\n"); err != nil {
		return err
	}
	config, err := p.config()
	if err != nil {
		return err
	}
	r, err := newRole("proxy", c, stdout, stderr)
	if err != nil {
		return err
	}
	list, err := p.block.open(blocklist.Options{Path: c.statePath("blocklist.jsonl"), Logger: r.logger})
	if err != nil {
		return err
	}
	defer func() { _ = list.Close() }()
	blocks := &agent.Blocks{List: list, Logger: r.logger}
	if p.redis != "" {
		client, err := redisClient(p.redis)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		blocks.Events = events{client}
	}
	return r.runSteered(ctx, config, &agent.Nginx{Role: agent.RoleProxy, Blocks: blocks}, proxy.Options{Refuse: list.Blocked})
}

func (p *proxyFlags) config() (c loadbalancer.Config, err error) {
	group := loadbalancer.Group{Name: "proxy", Host: loadbalancer.HostOfServer}
	if group.Servers, err = serversOf("--upstream", p.upstreams); err != nil {
		return c, err
	}
	c = loadbalancer.Config{
		Groups: []loadbalancer.Group{group}, Routes: []loadbalancer.Route{{Path: "/", Group: group.Name}},
		Access: loadbalancer.Access{TrustedHops: p.hops},
	}
	if p.mirror != "" {
		if c.Mirror.Address, err = loadbalancer.ParseAddress(p.mirror); err != nil {
			return c, cli.Usagef("--mirror: %w", err)
		}
		c.Mirror.Timeout = p.mirrorTimeout
	}
	return c, nil
}

// events reads the events that an IDS has kept.
type events struct{ client redis.UniversalClient }

// Source implements agent.EventSource.
func (e events) Source(ctx context.Context, key string) (netip.Addr, error) {
	a, err := alertredis.EventSource(ctx, e.client, key)
	if err != nil && !alertredis.Temporary(err) {
		return a, fmt.Errorf("%w: %w", alert.ErrRejected, err)
	}
	return a, err
}

// redisTimeout bounds one step of a call.
const redisTimeout = 2 * time.Second

// redisClient returns a client for HOST:PORT, or for a URL,
// redis://USER:PASSWORD@HOST:PORT/DB or with TLS rediss://. Nothing is
// connected before the first call.
func redisClient(addr string) (*redis.Client, error) {
	o, err := redis.ParseURL(addr)
	if _, _, plain := net.SplitHostPort(addr); plain == nil {
		o, err = &redis.Options{Addr: addr}, nil
	}
	if err != nil {
		return nil, cli.Usagef("--redis: want HOST:PORT, or a URL such as redis://USER:PASSWORD@HOST:PORT/DB") // without the password
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = redisTimeout, redisTimeout, redisTimeout
	o.MaxRetries, o.DialerRetries, o.DisableIdentity, o.ContextTimeoutEnabled = 1, 1, true, true
	return redis.NewClient(o), nil
}

func runBalancer(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var servers []string
	var method string
	f := pflag.NewFlagSet("sdc lb", pflag.ContinueOnError)
	c.add(f, "http-lb", "127.0.0.1:9180", "127.0.0.1:50054")
	c.addEngine(f)
	f.StringSliceVar(&servers, "servers", []string{"clover-server1:9180", "clover-server2:9180", "clover-server3:9180"}, "`addresses` of the servers")
	f.StringVar(&method, "method", "round_robin", "how a server is chosen: round_robin, least_connections, random_two_choices or hash")
	if err := parse(f, args, stderr, "Spreads requests over servers.\n\nUsage:\n  sdc lb [flags]\n"); err != nil {
		return err
	}
	group := loadbalancer.Group{Name: "cloverlb", Host: loadbalancer.HostOfServer}
	var err error
	if group.Method, err = loadbalancer.ParseMethod(method); err != nil {
		return cli.Usagef("--method: %w", err)
	}
	if group.Servers, err = serversOf("--servers", servers); err != nil {
		return err
	}
	r, err := newRole("lb", c, stdout, stderr)
	if err != nil {
		return err
	}
	config := loadbalancer.Config{Groups: []loadbalancer.Group{group}, Routes: []loadbalancer.Route{{Path: "/", Group: group.Name}}}
	return r.runSteered(ctx, config, &agent.Nginx{Role: agent.RoleBalancer}, proxy.Options{})
}

// serversOf reads the addresses of servers.
func serversOf(flag string, texts []string) (list []loadbalancer.Server, err error) {
	for _, text := range texts {
		address, err := loadbalancer.ParseAddress(text)
		if err != nil {
			return nil, cli.Usagef("%s: %w", flag, err)
		}
		list = append(list, loadbalancer.Server{Address: address})
	}
	return list, nil
}

func runServer(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var root string
	f := pflag.NewFlagSet("sdc server", pflag.ContinueOnError)
	c.add(f, "clover-server", "127.0.0.1:9180", "127.0.0.1:50054")
	c.addEngine(f)
	f.StringVar(&root, "site-root", "", "`folder` of the site's files and uploads (default: there are none)")
	if err := parse(f, args, stderr, "Serves a site.\n\nUsage:\n  sdc server [flags]\n"); err != nil {
		return err
	}
	config, err := siteConfig(root)
	if err != nil {
		return err
	}
	if root == "" && c.nginx != "" {
		return cli.Usagef("--nginx needs --site-root: nginx has no content of its own")
	}
	r, err := newRole("server", c, stdout, stderr)
	if err != nil {
		return err
	}
	a := &agent.Nginx{Role: agent.RoleServer}
	for _, s := range config.Sites {
		a.SiteRoots = append(a.SiteRoots, s.Root)
	}
	return r.runSteered(ctx, config, a, proxy.Options{Fallback: site.Content{}})
}

// siteConfig serves a folder, if there is one.
func siteConfig(root string) (c loadbalancer.Config, err error) {
	if root == "" {
		return c, nil
	}
	if root, err = filepath.Abs(root); err == nil {
		_, err = os.ReadDir(root)
	}
	if err != nil {
		return c, cli.Usagef("--site-root: the root must be an existing folder: %w", err)
	}
	s := loadbalancer.Site{Name: "site", Root: root, UploadPath: "/upload", UploadForm: "/upload_test"}
	return loadbalancer.Config{Sites: []loadbalancer.Site{s}, Routes: []loadbalancer.Route{{Path: "/", Site: s.Name}}}, nil
}

// runSteered runs a role that Clover's own proxy or nginx serves, and that its
// agent changes.
func (r *role) runSteered(ctx context.Context, config loadbalancer.Config, a *agent.Nginx, o proxy.Options) error {
	config.Name = cmp.Or(r.common.identity.Version, r.common.identity.Service)
	if r.common.nginx != "" {
		return r.runNginx(ctx, config, a)
	}
	o.Transport, o.Logger, o.ShutdownTimeout = r.sends, r.logger, r.common.grace
	p := proxy.New(o)
	var err error
	a.Agent, err = loadbalancer.NewAgent(p, loadbalancer.AgentOptions{Path: r.common.statePath("versions.json")})
	if err != nil {
		return err
	}
	if err := a.Agent.Begin(ctx, config); err != nil {
		return err
	}
	a.Port = portOf(r.common.http)
	r.countMirror(p)
	return r.run(ctx, p, registerNginx(a), p.Run)
}

// countMirror exposes the mirror's ledger.
func (r *role) countMirror(p *proxy.Proxy) {
	for outcome, read := range map[string]func(proxy.MirrorStats) uint64{
		"sent":    func(s proxy.MirrorStats) uint64 { return s.Sent },
		"failed":  func(s proxy.MirrorStats) uint64 { return s.Failed },
		"dropped": func(s proxy.MirrorStats) uint64 { return s.Dropped },
	} {
		r.counter("clover_sdc_mirrored_total", "Copies of requests, by what became of them.",
			prometheus.Labels{"outcome": outcome}, func() uint64 { return read(p.Stats().Mirror) })
	}
}

// statePath is where a role keeps a file; "" if it keeps nothing.
func (c *common) statePath(name string) string {
	if c.state == "" {
		return ""
	}
	return filepath.Join(c.state, name)
}

// openState makes the folder of what is kept.
func (c *common) openState() error {
	if c.state == "" {
		return nil
	}
	if err := os.MkdirAll(c.state, 0o700); err != nil {
		return cli.Usagef("--state-dir: %w", err)
	}
	return nil
}
