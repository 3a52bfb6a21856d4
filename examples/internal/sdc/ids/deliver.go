package ids

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
	"github.com/opnfv/clover/ids/alert"
)

// Deliver implements alert.Sink, for the alerts of a real engine: each is
// kept and the proxy told of it, or an error makes the relay deliver it again.
// The call is made within the trace of the request that raised the alert, if
// that had one, and else in a new trace.
func (a *Alerts) Deliver(ctx context.Context, alerts []alert.Alert) error {
	for i := range alerts {
		if err := a.deliver(ctx, &alerts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *Alerts) deliver(ctx context.Context, event *alert.Alert) error {
	id, key := event.ID, ""
	if a.events != nil {
		index, k, err := a.events.Add(ctx, event)
		if err != nil {
			return fmt.Errorf("ids: keep an alert: %w", err)
		}
		id, key = strconv.FormatUint(index, 10), k
	}
	told := a.told(event, id, key)
	if a.notify == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(sidecar.Within(ctx, http.Header(event.Header())), notifyTimeout)
	defer cancel()
	if err := a.notify.Notify(ctx, told); err != nil {
		return fmt.Errorf("ids: tell the proxy of alert %s: %w", id, err)
	}
	return nil
}
