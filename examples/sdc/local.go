package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/examples/internal/cli"
)

// controlOffset is between the port of a role and that of its agent.
const controlOffset = 100

// local is the whole sample on one machine, without Kubernetes.
type local struct {
	base            int
	front           string
	nginx, suricata string
	iface           string
	redis, otlp     string
	state           string
	temp            string // folder that ends with the program
	level           string
}

// localRole is one role of it.
type localRole struct {
	kind string // the controller's flag for its agent
	name string // as users name it
	port int
	args []string
}

func runLocal(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var l local
	f := pflag.NewFlagSet("sdc local", pflag.ContinueOnError)
	f.IntVar(&l.base, "ports", 9200, "first of the `ports` of the services; their agents listen on the same plus 100")
	f.StringVar(&l.front, "http-addr", "127.0.0.1:9180", "`address` of the proxy")
	f.StringVar(&l.nginx, "nginx", "", "nginx's `program`, which then serves all of them in place of Clover's own proxy")
	f.StringVar(&l.suricata, "suricata", "", "Suricata's `program`, in place of Clover's own engine; it needs CAP_NET_RAW")
	f.StringVar(&l.iface, "interface", "lo", "network `interface` that Suricata looks at, for pings and for what comes to snort-ids")
	f.StringVar(&l.redis, "redis", "", "`address` or URL of Redis, where events are kept")
	f.StringVar(&l.otlp, "otlp", "", "send spans to this `address` by OTLP; not those of nginx")
	f.StringVar(&l.state, "state-dir", "", "`folder` that keeps configurations, rules, alerts and blocks over restarts")
	f.StringVar(&l.level, "log-level", "warn", "debug, info, warn or error")
	err := parse(f, args, stderr, "Runs the whole sample on this machine, each service on a loopback port.\n\nUsage:\n  sdc local [flags]\n\nExamples:\n"+
		"  sdc local\n  sudo sdc local --nginx nginx --suricata suricata --redis 127.0.0.1:6379\n")
	if err != nil {
		return err
	}
	if last := 65535 - 2*controlOffset; l.base < 1 || l.base > last {
		return cli.Usagef("--ports %d is not between 1 and %d", l.base, last)
	}
	if l.temp, err = os.MkdirTemp("", "clover-sdc-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(l.temp) }()
	l.state = cmp.Or(l.state, filepath.Join(l.temp, "state"))
	if err := os.Chmod(l.temp, 0o755); err != nil { // nginx's workers read the sites
		return err
	}
	return l.run(ctx, stdout, stderr)
}

// run runs the roles until ctx ends: those in front end first, so that
// nothing is cut off.
func (l *local) run(ctx context.Context, stdout, stderr io.Writer) error {
	roles, err := l.roles()
	if err != nil {
		return err
	}
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	var stops []context.CancelFunc
	ended := make([]chan struct{}, len(roles))
	for i, r := range roles {
		running, stop := context.WithCancel(failed)
		defer stop()
		stops = append(stops, stop)
		ended[i] = make(chan struct{})
		group.Go(func() error {
			defer close(ended[i])
			if err := run(running, r.args, &lines{to: stdout, prefix: r.name + ": "}, stderr); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
	}
	l.announce(stdout, roles)
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	for i, stop := range stops {
		stop()
		<-ended[i]
	}
	return group.Wait()
}

// roles are the services, from the front to the back.
func (l *local) roles() ([]localRole, error) {
	at := func(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.base+n)) }
	var servers []localRole
	for i := 1; i <= 5; i++ {
		s := localRole{kind: "web-server", name: fmt.Sprintf("clover-server%d", i), port: l.base + i, args: []string{"server"}}
		if l.nginx != "" {
			root, err := l.site(s.name)
			if err != nil {
				return nil, err
			}
			s.args = append(s.args, "--site-root", root, "--nginx", l.nginx)
		}
		servers = append(servers, s)
	}
	balancer := func(version string, n int, servers ...string) localRole {
		r := localRole{kind: "balancer", name: "http-lb-" + version, port: l.base + n, args: []string{"lb", "--servers", strings.Join(servers, ",")}}
		return l.withNginx(r)
	}
	proxy := localRole{kind: "proxy", name: "proxy-access-control", args: []string{
		"proxy", "--upstream", at(11) + "," + at(12), "--mirror", at(21), "--trusted-hops", "1", "--redis", l.redis,
	}}
	ids := localRole{kind: "ids", name: "snort-ids", port: l.base + 21, args: []string{"ids", "--alerts", at(controlOffset), "--redis", l.redis}}
	if l.suricata != "" {
		// A request passes lo at each hop. It is looked at where its copy comes.
		filter := fmt.Sprintf("icmp or icmp6 or tcp port %d", ids.port)
		ids.args = append(ids.args, "--suricata", l.suricata, "--interface", l.iface, "--filter", filter)
	}
	all := []localRole{
		l.withNginx(proxy), ids,
		balancer("v1", 11, at(1), at(2), at(3)), balancer("v2", 12, at(4), at(5)),
	}
	all = append(all, servers...)
	for i := range all {
		r := &all[i]
		address := l.front
		if r.port != 0 {
			address = at(r.port - l.base)
		} else {
			r.port = l.base // of its agent
		}
		r.args = append(r.args, "--http-addr", address, "--grpc-addr", at(r.port-l.base+controlOffset), "--admin-addr", "127.0.0.1:0",
			"--name", r.name, "--version", r.name, "--otlp", l.otlp, "--log-level", l.level, "--log-format", "text",
			"--state-dir", filepath.Join(l.state, r.name))
	}
	return all, nil
}

func (l *local) withNginx(r localRole) localRole {
	if l.nginx != "" {
		r.args = append(r.args, "--nginx", l.nginx)
	}
	return r
}

// site makes a folder with a page.
func (l *local) site(name string) (root string, err error) {
	root = filepath.Join(l.temp, "sites", name)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	return root, os.WriteFile(filepath.Join(root, "index.html"), []byte("<!doctype html><title>"+name+"</title>"+name+"\n"), 0o644)
}

// announce tells what to do with it.
func (l *local) announce(w io.Writer, roles []localRole) {
	fmt.Fprintf(w, "The sample is at http://%s/; Ctrl-C ends it. Send it requests:\n", l.front)
	fmt.Fprintf(w, "  curl http://%s/\n  curl -A asafaweb.com -H 'X-Forwarded-For: 203.0.113.9' http://%[1]s/\n", l.front)
	fmt.Fprintf(w, "Steer it with cloverctl through\n  standalone --no-sample")
	for _, r := range roles {
		fmt.Fprintf(w, " \\\n    --%s %s=127.0.0.1:%d", r.kind, r.name, r.port+controlOffset)
	}
	fmt.Fprint(w, "\n\n")
}

// lines writes whole lines, each with a prefix.
type lines struct {
	to     io.Writer
	prefix string
}

// Write implements io.Writer. Roles write one line at a time.
func (l *lines) Write(p []byte) (int, error) {
	if _, err := io.WriteString(l.to, l.prefix+string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
