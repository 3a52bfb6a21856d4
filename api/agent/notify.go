package agent

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/ids/alert"
)

// ProxySink tells a proxy of alerts by nginx.Controller/ProcessAlerts.
type ProxySink struct {
	Client nginx.ControllerClient
	// Keep keeps an alert where the proxy may read it, and returns its index
	// and key; an alert that is kept already has the same again. What cannot
	// be kept is told all the same. nil: nothing is kept.
	Keep func(ctx context.Context, a *alert.Alert) (index uint64, key string, err error)
	// InTrace returns a context whose calls belong to the trace that a header
	// traceparent (W3C Trace Context) names. nil: the header is handed on.
	InTrace func(ctx context.Context, traceparent string) context.Context
}

var _ alert.Sink = (*ProxySink)(nil)

// Deliver implements alert.Sink. An alert whose request was part of a trace is
// told within it.
func (s *ProxySink) Deliver(ctx context.Context, alerts []alert.Alert) error {
	for i := range alerts {
		if err := s.tell(ctx, &alerts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *ProxySink) tell(ctx context.Context, a *alert.Alert) error {
	r := &nginx.ProcessAlertsRequest{
		EventId: a.ID, SignatureId: a.SignatureID, Signature: a.Signature, Priority: a.Priority,
	}
	if client := a.Client(); client.IsValid() {
		r.SourceIp = client.String()
	}
	if s.Keep != nil {
		if index, key, err := s.Keep(ctx, a); err == nil {
			r.EventId, r.RedisKey = strconv.FormatUint(index, 10), key
		}
	}
	if parent := traceparent(a.Payload); parent != "" {
		if s.InTrace != nil {
			ctx = s.InTrace(ctx, parent)
		} else {
			ctx = metadata.AppendToOutgoingContext(ctx, traceparentHeader, parent)
		}
	}
	_, err := s.Client.ProcessAlerts(ctx, r)
	if status.Code(err) == codes.InvalidArgument {
		return fmt.Errorf("%w: %w", alert.ErrRejected, err)
	}
	return err
}

const (
	traceparentHeader = "traceparent"
	// traceparentLength is that of version 00 (W3C Trace Context, 3.2.2).
	traceparentLength = 55
)

// traceparent finds the header of a request's trace in what an alert's packet
// carried.
func traceparent(payload []byte) string {
	for line := range bytes.Lines(payload) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && bytes.EqualFold(name, []byte(traceparentHeader)) {
			if v := bytes.TrimSpace(value); len(v) == traceparentLength && bytes.HasPrefix(v, []byte("00-")) {
				return string(v)
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break // the header ends
		}
	}
	return ""
}
