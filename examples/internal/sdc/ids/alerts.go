package ids

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/examples/internal/sdc/backlog"
	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// Bounds of the alerts.
const (
	alertWorkers  = 4
	alertQueue    = 256
	storeTimeout  = 5 * time.Second
	notifyTimeout = 5 * time.Second
)

// Events keeps events.
type Events interface {
	// Add keeps an event and returns its index and its key.
	Add(ctx context.Context, e Event) (index uint64, key string, err error)
}

// Notifier tells of alerts.
type Notifier interface {
	Notify(ctx context.Context, a control.Alert) error
}

// AlertStats is the ledger of alerts: Seen is the sum of Sent, Failed,
// Dropped and of those that wait.
type AlertStats struct {
	Seen      uint64
	Sent      uint64 // kept, and the proxy knows
	Failed    uint64 // the proxy did not answer within 5 s
	Dropped   uint64 // left out because too many waited, or at the end
	NotStored uint64 // of those seen: could not be kept
}

// Alerts keeps events and tells of them, beside the traffic.
type Alerts struct {
	events Events
	notify Notifier
	logger *slog.Logger
	index  atomic.Uint64
	stats  struct{ seen, sent, failed, notStored atomic.Uint64 }

	backlog *backlog.Backlog[raised]
}

type raised struct {
	ctx   context.Context //nolint:containedctx // belongs to the event: its trace
	event Event
}

// NewAlerts returns Alerts. events nil: they are not kept; notify nil:
// nobody is told; logger nil: silence.
func NewAlerts(events Events, notify Notifier, logger *slog.Logger) *Alerts {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	a := &Alerts{events: events, notify: notify, logger: logger}
	a.backlog = backlog.New(backlog.Options{Size: alertQueue, Workers: alertWorkers, Grace: notifyTimeout}, a.handle)
	return a
}

// Stats returns the ledger.
func (a *Alerts) Stats() AlertStats {
	s := &a.stats
	return AlertStats{
		Seen: s.seen.Load(), Sent: s.sent.Load(), Failed: s.failed.Load(),
		Dropped: a.backlog.Dropped(), NotStored: s.notStored.Load(),
	}
}

// Raise takes an event and never blocks.
func (a *Alerts) Raise(ctx context.Context, e Event) {
	a.stats.seen.Add(1)
	a.backlog.Offer(raised{ctx, e})
}

// Run works until ctx ends, and then for five seconds through what waits.
func (a *Alerts) Run(ctx context.Context) error { return a.backlog.Run(ctx) }

// handle keeps an event and tells of it, unless end comes first.
func (a *Alerts) handle(end context.Context, r raised) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	defer context.AfterFunc(end, cancel)()
	alert := control.Alert{
		Source: r.event.Source.Addr(), SignatureID: r.event.Rule.SID, Signature: r.event.Rule.Message,
	}
	alert.EventID, alert.RedisKey = a.store(ctx, r.event)
	a.logger.Info("ids: alert", "event", alert.EventID, "signature", alert.SignatureID,
		"message", alert.Signature, "source", alert.Source.String())
	if a.notify == nil {
		a.stats.sent.Add(1)
		return
	}
	ctx, cancelNotify := context.WithTimeout(ctx, notifyTimeout)
	defer cancelNotify()
	if err := a.notify.Notify(ctx, alert); err != nil {
		a.stats.failed.Add(1)
		a.logger.Warn("ids: the proxy does not know of an alert", "event", alert.EventID, "error", err)
		return
	}
	a.stats.sent.Add(1)
}

// store keeps an event. One that could not be kept has an index that counts
// within this process, and no key.
func (a *Alerts) store(ctx context.Context, e Event) (id, key string) {
	if a.events == nil {
		return strconv.FormatUint(a.index.Add(1), 10), ""
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	index, key, err := a.events.Add(ctx, e)
	if err != nil {
		a.stats.notStored.Add(1)
		a.logger.Warn("ids: an event is not stored", "error", err)
		return "not-stored-" + strconv.FormatUint(a.index.Add(1), 10), ""
	}
	return strconv.FormatUint(index, 10), key
}

// ProxyNotifier tells a proxy by nginx.Controller/ProcessAlerts.
type ProxyNotifier struct {
	client nginx.ControllerClient
}

// NewProxyNotifier returns a notifier on a connection, which stays the
// caller's.
func NewProxyNotifier(conn grpc.ClientConnInterface) *ProxyNotifier {
	return &ProxyNotifier{client: nginx.NewControllerClient(conn)}
}

// Notify implements Notifier. A proxy that is not there is waited for until
// ctx ends.
func (p *ProxyNotifier) Notify(ctx context.Context, a control.Alert) error {
	_, err := p.client.ProcessAlerts(ctx, &nginx.ProcessAlertsRequest{
		EventId: a.EventID, RedisKey: a.RedisKey, SourceIp: addrText(a.Source),
		SignatureId: a.SignatureID, Signature: a.Signature,
	}, grpc.WaitForReady(true))
	return err
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
