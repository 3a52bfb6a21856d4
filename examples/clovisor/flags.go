package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/examples/internal/cli"
	visibilityredis "github.com/opnfv/clover/visibility/redis"
)

// settings are the flags.
type settings struct {
	interfaces []string
	netns      string
	pcap       string
	kubernetes bool
	kubeconfig string
	node       string

	ports     []string
	values    config.Values
	pluginDir string
	file      string
	redis     visibilityredis.Address

	output string // "" for none
	otlp   string
	gzip   bool
	http   endpoints
	logger *slog.Logger

	kernel kernel.Options

	// What the flags mean.
	config      config.Config // of the flags alone
	redisClient redis.UniversalClient
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	var level, hook, buffer string
	f := pflag.NewFlagSet("clovisor", pflag.ContinueOnError)
	f.StringSliceVar(&s.interfaces, "interface", nil, "trace this network `interface` (may be given again)")
	f.StringVar(&s.netns, "netns", "", "network namespace of the interfaces, by `name` or path (default interfaces: all that are up)")
	f.StringVar(&s.pcap, "pcap", "", "read this pcap or pcapng `file`, which needs no privileges")
	f.BoolVar(&s.kubernetes, "kubernetes", false, "trace the pods of this node")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "`file` with the access to the cluster (default: that of the pod)")
	f.StringVar(&s.node, "node", os.Getenv("NODE_NAME"), "`name` of this node (default: the environment's NODE_NAME, else the host's name)")
	f.StringSliceVar(&s.ports, "port", nil, "`port` to trace, as 8080 or 8080=http (may be given again; default: all, or those of services)")
	f.StringSliceVar(&s.values.EgressMatch, "egress-match", nil, "connections from workloads to trace, as `IP:PORT[:POD_PREFIX]`, IP 0 for any")
	f.StringSliceVar(&s.values.Labels, "label", nil, "pods to trace, as `NAMESPACE[:KEY:VALUE]` (may be given again; default: those of namespace default)")
	f.StringVarP(&s.output, "output", "o", "", "lines for each session: text, json or none (default: text, with --kubernetes none)")
	f.StringVar(&s.otlp, "otlp", "", "send spans to this `address` by OTLP, as HOST:PORT or a URL")
	f.BoolVar(&s.gzip, "otlp-gzip", false, "compress spans on their way: a quarter more CPU time, a tenth of the bytes")
	f.StringVar(&s.file, "config", "", "YAML `file` with the configuration, which is followed")
	f.StringVar(&s.redis.URL, "redis", "", "`address` of the Redis with the configuration, HOST:PORT or a URL, for Sentinels with ?master_name=NAME; passwords are in the environment: REDIS_PASSWORD, REDIS_SENTINEL_PASSWORD")
	f.StringVar(&s.redis.CAFile, "redis-ca-file", "", "PEM `file` with the certificates to trust for rediss://")
	f.StringVar(&s.redis.CertFile, "redis-cert-file", "", "PEM `file` with the client's certificate")
	f.StringVar(&s.redis.KeyFile, "redis-key-file", "", "PEM `file` with its key")
	s.http.add(f)
	f.StringToStringVar(&s.values.ProtoCfg, "plugin", nil, "WASM module that parses a protocol, as `PROTOCOL=FILE` (may be given again)")
	f.StringToStringVar(&s.values.Limits, "limit", nil, "bound, as `NAME=VALUE`: connections, connection_bytes, memory_bytes, plugin_memory_bytes or plugin_timeout (may be given again)")
	f.StringVar(&s.pluginDir, "plugin-dir", "/proto", "`folder` that modules are loaded from, and no others")
	f.StringVar(&hook, "hook", "auto", "where programs are attached: auto, tcx or clsact")
	f.StringVar(&buffer, "buffer", "auto", "how segments leave the kernel: auto, ring or perf")
	f.StringVar(&s.kernel.Name, "name", "", "what the filters in the kernel are called, for more than one clovisor at a time")
	f.StringVar(&level, "log-level", "", "debug, info, warn or error (default: warn, with --kubernetes info)")
	if err := cli.Parse(f, args, stderr, usage); err != nil {
		return nil, err
	}
	s.redis.Password = os.Getenv("REDIS_PASSWORD")
	s.redis.SentinelUsername, s.redis.SentinelPassword = os.Getenv("REDIS_SENTINEL_USERNAME"), os.Getenv("REDIS_SENTINEL_PASSWORD")
	s.kernel.Hook, s.kernel.Buffer = kernel.Hook(hook), kernel.Buffer(buffer)
	if hook == "auto" {
		s.kernel.Hook = kernel.AutoHook
	}
	if buffer == "auto" {
		s.kernel.Buffer = kernel.AutoBuffer
	}
	return s, s.settle(level, stderr)
}

// settle fills in defaults and finds what contradicts itself.
func (s *settings) settle(level string, stderr io.Writer) (err error) {
	sources := 0
	for _, given := range []bool{s.pcap != "", s.kubernetes, len(s.interfaces) > 0 || s.netns != ""} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		return cli.Usagef("say what to trace: one of --interface (or --netns), --pcap, --kubernetes")
	}
	otherwise := func(v *string, local, kubernetes string) {
		if *v == "" {
			*v = local
			if s.kubernetes {
				*v = kubernetes
			}
		}
		if *v == "-" || *v == "none" {
			*v = ""
		}
	}
	otherwise(&s.output, "text", "none")
	otherwise(&s.http.addr, "none", "127.0.0.1:9466")
	otherwise(&level, "warn", "info")
	if s.output != "" {
		if _, err := export.ParseFormat(s.output); err != nil {
			return cli.Usagef("--output %s: want text, json or none", s.output)
		}
	}
	if s.logger, err = cli.Logger(level, stderr); err != nil {
		return err
	}
	switch s.kernel.Hook {
	case kernel.AutoHook, kernel.TCX, kernel.Clsact:
	default:
		return cli.Usagef("--hook %s: want auto, tcx or clsact", s.kernel.Hook)
	}
	switch s.kernel.Buffer {
	case kernel.AutoBuffer, kernel.Ring, kernel.Perf:
	default:
		return cli.Usagef("--buffer %s: want auto, ring or perf", s.kernel.Buffer)
	}
	if err := s.http.settle(); err != nil {
		return err
	}
	return s.configure()
}

// configure reads what is configured by flags.
func (s *settings) configure() (err error) {
	s.values.JaegerCollector = s.otlp
	if s.values.Ports, err = namedPorts(s.ports); err != nil {
		return err
	}
	if s.config, err = s.values.Config(); err != nil {
		return cli.Usagef("%w", err)
	}
	if s.node == "" {
		if s.node, err = os.Hostname(); err != nil {
			return err
		}
	}
	if s.redis.URL == "" {
		return nil
	}
	if s.redisClient, _, err = visibilityredis.Open(s.redis); err != nil {
		return cli.Usagef("--redis: %w", err)
	}
	if _, cluster := s.redisClient.(*redis.ClusterClient); cluster {
		return cli.Usagef("--redis: the keys of Clovisor have to be on one server, not in a Redis Cluster")
	}
	return nil
}

// namedPorts are the ports that are given with a protocol.
func namedPorts(ports []string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range ports {
		number, protocol, named := strings.Cut(p, "=")
		if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 || named && protocol == "" {
			return nil, cli.Usagef("--port %s: want a port, or PORT=PROTOCOL such as 8080=http", p)
		}
		if named {
			out[number] = protocol
		}
	}
	return out, nil
}

// targetPorts are those to trace on interfaces. Without any, everything that
// passes is looked at.
func (s *settings) targetPorts() (ports []target.Port, egress []target.Egress) {
	for _, p := range s.ports {
		number, protocol, _ := strings.Cut(p, "=")
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue // namedPorts has refused it
		}
		for _, transport := range []packet.Transport{packet.TCP, packet.UDP} {
			ports = append(ports, target.Port{Number: uint16(n), Transport: transport, Protocol: protocol})
		}
	}
	for _, m := range s.config.Egress {
		e := target.Egress{Port: m.Port}
		if m.Destination.Bits() > 0 {
			e.Prefix = m.Destination
		}
		egress = append(egress, e)
	}
	if len(ports) == 0 && len(egress) == 0 {
		egress = []target.Egress{{Transport: packet.TCP, Prefix: netip.Prefix{}}, {Transport: packet.UDP}}
	}
	return ports, egress
}

// lines says how sessions are printed, if they are.
func (s *settings) format() (export.Format, bool) {
	if s.output == "" {
		return "", false
	}
	return export.Format(s.output), true
}

func (s *settings) String() string {
	switch {
	case s.kubernetes:
		return "pods of node " + s.node
	case s.netns != "":
		return fmt.Sprintf("network namespace %s %v", s.netns, s.interfaces)
	}
	return strings.Join(s.interfaces, ", ")
}
