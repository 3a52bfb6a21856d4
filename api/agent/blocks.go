package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/ids/alert"
	"github.com/opnfv/clover/ids/blocklist"
)

// EventSource reads the events that an IDS has kept.
type EventSource interface {
	// Source returns the source address of an event. An error that will stay,
	// because the event is not there or has none, matches alert.ErrRejected.
	Source(ctx context.Context, key string) (netip.Addr, error)
}

// Blocks keeps clients out of a proxy.
type Blocks struct {
	List *blocklist.List
	// Changed puts a list that has changed into effect, where the proxy does
	// not look into the list itself. nil: it does.
	Changed func(ctx context.Context) error
	// Events finds an alert's source where the alert does not tell it. nil:
	// such alerts are refused.
	Events EventSource
	// Logger hears of alerts. nil: silence.
	Logger *slog.Logger
}

// changed puts the list into effect.
func (b *Blocks) changed(ctx context.Context) error {
	if b.Changed == nil {
		return nil
	}
	if err := b.Changed(ctx); err != nil {
		return status.Errorf(codes.Unavailable, "the blocklist has changed, but is not in effect: %v", err)
	}
	return nil
}

// blockError gives an error of a list its gRPC code.
func blockError(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, blocklist.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, blocklist.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, blocklist.ErrFull):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return status.Error(codes.FailedPrecondition, err.Error())
}

// set blocks and unblocks by hand.
func (b *Blocks) set(ctx context.Context, block, unblock []netip.Prefix) error {
	for _, p := range block {
		if _, err := b.List.Add(p, "asked for by ModifyProxy", 0); err != nil {
			return blockError(fmt.Errorf("block: %w", err))
		}
	}
	for _, p := range unblock {
		if err := b.List.Remove(p); err != nil && !errors.Is(err, blocklist.ErrNotFound) {
			return blockError(fmt.Errorf("unblock: %w", err))
		}
	}
	return b.changed(ctx)
}

// alert judges an alert.
func (b *Blocks) alert(ctx context.Context, r *nginx.ProcessAlertsRequest) (*nginx.ProcessAlertsResponse, error) {
	source, err := b.source(ctx, r)
	if err != nil {
		return nil, err
	}
	a := blocklist.Alert{
		ID: r.GetAlertId(), Source: source, SignatureID: r.GetSignatureId(), Signature: r.GetSignature(), Priority: int(r.GetPriority()),
	}
	if r.GetTime() != nil {
		a.Time = r.GetTime().AsTime()
	}
	v := b.List.Alert(a)
	// Also for one that is blocked already: it may have failed before.
	if v.Blocked {
		if err := b.changed(ctx); err != nil {
			return nil, err
		}
	}
	if b.Logger != nil {
		level := slog.LevelInfo // of what changes nothing
		if v.New {
			level = slog.LevelWarn
		}
		b.Logger.Log(ctx, level, "alert", "event", r.GetEventId(), "signature", r.GetSignatureId(), "message", r.GetSignature(),
			"source", source.String(), "verdict", v.String())
	}
	return &nginx.ProcessAlertsResponse{
		Message: "Processed alert " + r.GetEventId() + ": " + v.String(), Blocked: v.Blocked, SourceIp: source.String(),
	}, nil
}

// source tells whose fault an alert is.
func (b *Blocks) source(ctx context.Context, r *nginx.ProcessAlertsRequest) (netip.Addr, error) {
	if text := r.GetSourceIp(); text != "" {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return a, status.Errorf(codes.InvalidArgument, "source_ip: %q is not an IP address", text)
		}
		return a.Unmap(), nil
	}
	if b.Events == nil || r.GetRedisKey() == "" {
		return netip.Addr{}, status.Errorf(codes.InvalidArgument,
			"alert %q tells no source_ip, and there is no event in Redis to read it from", r.GetEventId())
	}
	a, err := b.Events.Source(ctx, r.GetRedisKey())
	switch {
	case errors.Is(err, alert.ErrRejected):
		return a, status.Errorf(codes.InvalidArgument, "alert %q: %v", r.GetEventId(), err)
	case err != nil:
		return a, status.Errorf(codes.Unavailable, "alert %q: %v", r.GetEventId(), err)
	}
	return a.Unmap(), nil
}

// blocks returns the blocklist, or says that there is none.
func (n *Nginx) blocks(method string) (*Blocks, error) {
	if n.Blocks != nil {
		return n.Blocks, nil
	}
	return nil, status.Errorf(codes.Unimplemented, "%s is for a proxy with a blocklist; this %s has none", method, n.Role)
}

// ProcessAlerts implements nginx.Controller.
func (n *Nginx) ProcessAlerts(ctx context.Context, r *nginx.ProcessAlertsRequest) (*nginx.ProcessAlertsResponse, error) {
	b, err := n.blocks("ProcessAlerts")
	if err != nil {
		return nil, err
	}
	return b.alert(ctx, r)
}

// ListBlocked implements nginx.Controller.
func (n *Nginx) ListBlocked(context.Context, *nginx.ListBlockedRequest) (*nginx.ListBlockedResponse, error) {
	b, err := n.blocks("ListBlocked")
	if err != nil {
		return nil, err
	}
	stats := b.List.Stats()
	res := &nginx.ListBlockedResponse{Alerts: stats.Alerts, NotBlocked: map[string]uint64{}}
	for reason, count := range stats.NotBlocked {
		res.NotBlocked[string(reason)] = count
	}
	for _, e := range b.List.Entries() {
		res.Entries = append(res.Entries, entry(e))
	}
	return res, nil
}

// Block implements nginx.Controller.
func (n *Nginx) Block(ctx context.Context, r *nginx.BlockRequest) (*nginx.BlockResponse, error) {
	b, err := n.blocks("Block")
	if err != nil {
		return nil, err
	}
	p, err := blocklist.ParsePrefix(r.GetPrefix())
	if err != nil {
		return nil, blockError(err)
	}
	var d time.Duration
	if r.GetDuration() != nil {
		if d = r.GetDuration().AsDuration(); d <= 0 {
			return nil, status.Errorf(codes.InvalidArgument, "duration: %s is not longer than 0s", d)
		}
	}
	e, err := b.List.Add(p, r.GetReason(), d)
	if err == nil {
		err = b.changed(ctx)
	}
	if err != nil {
		return nil, blockError(err)
	}
	text := "Blocked " + plain(p)
	if d > 0 {
		text += " for " + d.String()
	}
	return &nginx.BlockResponse{Message: text, Entry: entry(e)}, nil
}

// Unblock implements nginx.Controller.
func (n *Nginx) Unblock(ctx context.Context, r *nginx.UnblockRequest) (*nginx.UnblockResponse, error) {
	b, err := n.blocks("Unblock")
	if err != nil {
		return nil, err
	}
	p, err := blocklist.ParsePrefix(r.GetPrefix())
	if err == nil {
		err = b.List.Remove(p)
	}
	if err != nil {
		return nil, blockError(err)
	}
	if err := b.changed(ctx); err != nil {
		return nil, err
	}
	return &nginx.UnblockResponse{Message: "Unblocked " + plain(p)}, nil
}

func entry(e blocklist.Entry) *nginx.BlockEntry {
	out := &nginx.BlockEntry{
		Prefix: e.Prefix.String(), Origin: string(e.Origin), Reason: e.Reason, SignatureId: e.SignatureID,
		Alerts: uint64(e.Alerts), Since: timestamppb.New(e.Since), DryRun: e.DryRun,
	}
	if !e.Until.IsZero() {
		out.Until = timestamppb.New(e.Until)
	}
	return out
}

// plain writes a network of one address as that address.
func plain(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
