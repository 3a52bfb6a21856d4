package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/agent"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/internal/cli"
	sampleids "github.com/opnfv/clover/examples/internal/sdc/ids"
	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/alert"
	alertredis "github.com/opnfv/clover/ids/alert/redis"
	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/ids/source"
	"github.com/opnfv/clover/ids/starter"
)

// idsFlags are those of sdc ids.
type idsFlags struct {
	common common
	alerts alertFlags
	redis  string
	hops   int
	// Of Suricata; none: Clover's own engine.
	suricata   string
	interfaces []string
	filter     string
	homeNet    string
	rules      ruleFlags
}

// ruleFlags say where rules come from, beside those of Clover and of users.
type ruleFlags struct {
	folders, urls []string
	noStarter     bool
}

func (r *ruleFlags) add(f *pflag.FlagSet) {
	f.StringSliceVar(&r.folders, "rules", nil, "`folder` with files *.rules, which are checked before use (may be given again)")
	f.StringSliceVar(&r.urls, "rules-url", nil, "https `URL` of a rule file or a .tar.gz of them; #SHA256 behind it says what it must be (may be given again)")
	f.BoolVar(&r.noStarter, "no-starter-rules", false, "leave out the rules that come with Clover")
}

// load gets the rules, or says what is wrong with them.
func (r *ruleFlags) load(ctx context.Context) (*ids.Ruleset, error) {
	base := &ids.Ruleset{Dialect: ids.Suricata}
	if !r.noStarter {
		base, _ = starter.Rules(ids.Suricata)
	}
	from := source.Source{Folders: r.folders, Dialect: ids.Suricata}
	for _, text := range r.urls {
		url, sum, _ := strings.Cut(text, "#")
		from.Remotes = append(from.Remotes, source.Remote{URL: url, SHA256: sum})
	}
	got, err := from.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("--rules, --rules-url: %w", err)
	}
	for _, file := range got.Files {
		base.Items = append(base.Items, file.Items...)
	}
	return base, nil
}

func runIDS(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	x := idsFlags{hops: 1}
	f := pflag.NewFlagSet("sdc ids", pflag.ContinueOnError)
	x.common.add(f, "snort-ids", "127.0.0.1:8080", "127.0.0.1:50052")
	x.common.identity.Port = "80"
	x.alerts.add(f)
	f.StringVar(&x.redis, "redis", "", "`address` or URL of Redis, where events are kept (default: they are not)")
	f.IntVar(&x.hops, "trusted-hops", x.hops, "proxies before this one that append to X-Forwarded-For; the proxy of the sample is one")
	f.StringVar(&x.suricata, "suricata", "", "Suricata's `program`, which then looks at packets in place of Clover's own engine; it needs CAP_NET_RAW")
	f.StringSliceVar(&x.interfaces, "interface", []string{"lo"}, "network `interfaces` that Suricata looks at; behind a mesh's sidecar lo, where requests are in the clear")
	f.StringVar(&x.filter, "filter", "", "look only at packets that match this `expression` of pcap-filter(7), such as \"icmp or tcp port 8080\"")
	f.StringVar(&x.homeNet, "home-net", "any", "`networks` of $HOME_NET in Suricata's rules, e.g. [10.0.0.0/8,192.168.0.0/16]")
	x.rules.add(f)
	if err := parse(f, args, stderr, "Looks at mirrored requests by rules, and raises alerts.\n\nUsage:\n  sdc ids [flags]\n"); err != nil {
		return err
	}
	r, err := newRole("ids", x.common, stdout, stderr)
	if err != nil {
		return err
	}
	state := x.common.state
	if state == "" {
		if state, err = os.MkdirTemp("", "clover-ids-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(state) }()
	}
	return x.run(ctx, r, state)
}

// run runs the role; what it keeps is in the folder state.
func (x *idsFlags) run(ctx context.Context, r *role, state string) error {
	o := sampleids.PipelineOptions{SpoolDir: filepath.Join(state, "alerts"), Logger: r.logger}
	sink := &agent.ProxySink{InTrace: r.sidecar.InTrace}
	proxy, err := x.alerts.dial(r)
	if err != nil {
		return err
	}
	if proxy != nil {
		defer func() { _ = proxy.Close() }()
		sink.Client, o.Proxy = nginx.NewControllerClient(proxy), sink
	}
	if x.redis != "" {
		client, err := redisClient(x.redis)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		kept := alertredis.NewSink(client, alertredis.SinkOptions{})
		o.Redis, sink.Keep = kept, kept.Add
	}
	e, err := x.engine(state, r)
	if err != nil {
		return err
	}
	o.Source = e.source
	pipeline, err := sampleids.NewPipeline(o)
	if err != nil {
		return err
	}
	base, err := x.rules.load(ctx)
	if err != nil {
		return errors.Join(err, pipeline.Close())
	}
	control := &agent.Snort{Engine: e.engine, Base: base, LocalFile: filepath.Join(state, "local.rules"), Alerts: pipeline.Ledger}
	if err := control.Load(ctx); err != nil {
		return errors.Join(err, pipeline.Close())
	}
	r.countAlerts(pipeline.Ledger)
	register := func(s *grpc.Server) { snort.RegisterControllerServer(s, control) }
	return r.run(ctx, e.handler, register, e.engine.Run, pipeline.Run)
}

// looking is an engine with what brings it requests and what it finds.
type looking struct {
	engine  engine.Engine
	source  alert.Source
	handler http.Handler // takes the copies
}

func (x *idsFlags) engine(state string, r *role) (looking, error) {
	if x.suricata == "" {
		source, own := sampleids.NewSource(), sampleids.NewEngine()
		return looking{own, source, &sampleids.Monitor{
			Engine: own, Raise: source.Raise, TrustedHops: x.hops, Traceparent: r.sidecar.Traceparent,
		}}, nil
	}
	s, err := engine.NewSuricata(filepath.Join(state, "suricata"), engine.SuricataOptions{
		Program: strings.Fields(x.suricata), Interfaces: x.interfaces, Filter: x.filter, Addresses: map[string]string{"HOME_NET": x.homeNet}, Logger: r.logger,
	})
	if err != nil {
		return looking{}, cli.Usagef("--suricata: %w", err)
	}
	log := alert.NewFile(s.EVEFile(), alert.EVE, alert.FileOptions{Name: "suricata", Logger: r.logger})
	return looking{s, sampleids.Forwarded{Source: log, TrustedHops: x.hops}, http.HandlerFunc(accept)}, nil
}

// accept takes a copy that Suricata has seen on its way.
func accept(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the sender went away
	w.WriteHeader(http.StatusOK)
}

// countAlerts exposes the ledger of alerts.
func (r *role) countAlerts(ledger func() map[string]uint64) {
	r.counter("clover_sdc_alerts_seen_total", "Alerts raised.", nil, func() uint64 { return ledger()["seen"] })
	for _, sink := range []string{"proxy", "redis"} {
		for _, outcome := range []string{"delivered", "rejected", "lost"} {
			r.counter("clover_sdc_alerts_total", "Alerts, by whom they were for and what became of them.",
				prometheus.Labels{"sink": sink, "outcome": outcome}, func() uint64 { return ledger()[sink+" "+outcome] })
		}
	}
}
