package ids

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/opnfv/clover/ids/alert"
)

// Names of the sinks, which their positions in a spool have too.
const (
	sinkProxy = "proxy"
	sinkRedis = "redis"
)

// batch is how many alerts a delivery has at most. All of them have to get
// through in its time, also where the proxy is slow and each waits for Redis in
// vain: else those that were told are told again.
const batch = 10

// defaultGrace is that of PipelineOptions.
const defaultGrace = 5 * time.Second

// PipelineOptions of a Pipeline. Source is needed.
type PipelineOptions struct {
	Source alert.Source
	// Proxy and Redis take the alerts. nil: none does.
	Proxy, Redis alert.Sink
	// SpoolDir keeps alerts until they are delivered. "": a folder that ends
	// with the pipeline.
	SpoolDir string
	// Grace bounds how long alerts are delivered after the traffic has ended.
	// 0: 5 s.
	Grace time.Duration
	// Logger hears of what cannot be delivered. nil: silence.
	Logger *slog.Logger
}

// Pipeline delivers alerts, each at least once and in order.
type Pipeline struct {
	o       PipelineOptions
	spool   *alert.Spool
	relay   *alert.Relay
	tempDir string // "": the spool stays
}

// NewPipeline returns a Pipeline. Run ends it.
func NewPipeline(o PipelineOptions) (p *Pipeline, err error) {
	p = &Pipeline{o: o}
	if o.SpoolDir == "" {
		if p.tempDir, err = os.MkdirTemp("", "clover-alerts-"); err != nil {
			return nil, err
		}
		o.SpoolDir = p.tempDir
	} else if err := os.MkdirAll(o.SpoolDir, 0o700); err != nil {
		return nil, err
	}
	if p.spool, err = alert.OpenSpool(o.SpoolDir, alert.SpoolOptions{}); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	var outlets []alert.Outlet
	for name, sink := range map[string]alert.Sink{sinkProxy: o.Proxy, sinkRedis: o.Redis} {
		if sink != nil {
			outlets = append(outlets, alert.Outlet{Name: name, Sink: sink, Batch: batch})
		}
	}
	p.relay, err = alert.NewRelay(p.spool, []alert.Source{o.Source}, outlets, alert.RelayOptions{Logger: o.Logger, LastRetry: 2 * time.Second})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close ends a pipeline that has not run.
func (p *Pipeline) Close() error {
	var err error
	if p.spool != nil {
		err = p.spool.Close()
	}
	if p.tempDir != "" {
		err = errors.Join(err, os.RemoveAll(p.tempDir))
	}
	return err
}

// Run delivers until ctx ends, and then for a while what waits.
func (p *Pipeline) Run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan error, 1)
	go func() { done <- p.relay.Run(running) }()
	select {
	case err := <-done:
		return errors.Join(err, p.Close())
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(running, cmp.Or(p.o.Grace, defaultGrace))
	defer cancel()
	p.settle(last)
	stop()
	return errors.Join(<-done, p.Close())
}

// settle waits until nothing waits.
func (p *Pipeline) settle(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.waiting() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Pipeline) waiting() bool {
	if s, ok := p.o.Source.(*Source); ok && len(s.queue) > 0 {
		return true
	}
	for _, s := range p.relay.Stats() {
		if s.Waiting > 0 {
			return true
		}
	}
	return false
}

// Ledger counts alerts by what became of them: seen, and for each sink
// delivered, waiting, rejected and lost.
func (p *Pipeline) Ledger() map[string]uint64 {
	m := map[string]uint64{"seen": p.o.Source.Stats().Alerts}
	for name, s := range p.relay.Stats() {
		for what, n := range map[string]uint64{"delivered": s.Delivered, "waiting": s.Waiting, "rejected": s.Rejected, "lost": s.Lost} {
			m[fmt.Sprintf("%s %s", name, what)] = n
		}
	}
	return m
}
