package agent

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

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
	// InTrace returns a context whose calls belong to the trace that a
	// request's header names, or to a new one. nil: the header traceparent
	// (W3C Trace Context) is handed on.
	InTrace func(ctx context.Context, header http.Header) context.Context
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
		EventId: a.ID, AlertId: a.ID, SignatureId: a.SignatureID, Signature: a.Signature, Priority: a.Priority,
	}
	if !a.Time.IsZero() {
		r.Time = timestamppb.New(a.Time)
	}
	if client := a.Client(); client.IsValid() {
		r.SourceIp = client.String()
	}
	if s.Keep != nil {
		keeping, cancel := context.WithTimeout(ctx, keepLimit)
		if index, key, err := s.Keep(keeping, a); err == nil {
			r.EventId, r.RedisKey = strconv.FormatUint(index, 10), key
		}
		cancel()
	}
	header := http.Header(a.Header())
	if s.InTrace != nil {
		ctx = s.InTrace(ctx, header)
	} else if parent := header.Get(traceparentHeader); traceparent.MatchString(parent) {
		ctx = metadata.AppendToOutgoingContext(ctx, traceparentHeader, parent)
	}
	_, err := s.Client.ProcessAlerts(ctx, r)
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound:
		return fmt.Errorf("%w: %w", alert.ErrRejected, err)
	}
	return err
}

// keepLimit bounds how long the proxy waits for an alert to be kept.
const keepLimit = 200 * time.Millisecond

const traceparentHeader = "traceparent"

// traceparent is version 00 of that header (W3C Trace Context, 3.2.2): what
// else a client may have written is not handed on.
var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
