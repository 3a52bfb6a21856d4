package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// reconnect is the pause before a lost stream is asked for again.
const reconnect = 2 * time.Second

// defaultObserved ends observe without -f.
const defaultObserved = 10

func (a *app) observe() *cobra.Command {
	var f filterFlags
	var output, source string
	var follow bool
	var limit int
	c := &cobra.Command{
		Use: "observe", Short: "Show spans as they arrive", Args: cobra.NoArgs,
		Example: `  cloverctl observe -f
  cloverctl observe -f --source kernel
  cloverctl observe -f --filter 'duration > 50ms and service = http-lb' -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := f.expression()
			if err != nil {
				return err
			}
			if filter, err = fromSource(source, filter); err != nil {
				return err
			}
			if output != "text" && output != "json" {
				return usagef("--output %q is not known; want text or json", output)
			}
			if limit < 0 {
				return usagef("--limit %d is less than 0", limit)
			}
			if limit == 0 && !follow {
				limit = defaultObserved
			}
			cl, err := a.client(c.Context())
			if err != nil {
				return err
			}
			a.warnUnseen(c.Context(), cl, filter)
			o := observer{
				app: a, printer: show.Printer{Out: a.Out, Color: a.colors()}, json: output == "json",
				follow: follow, limit: limit, pause: reconnect,
			}
			return o.run(c.Context(), cl, filter)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted, also over a restart of the controller")
	f.add(a, c, "`expression`; fields of single spans may be used, e.g. 'duration > 50ms'")
	f.addService(a, c)
	c.Flags().IntVar(&limit, "limit", 0, fmt.Sprintf("end after so many spans (default: %d without -f)", defaultObserved))
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json (one object a line)")
	c.Flags().StringVar(&source, "source", "", "only spans from the `source`: kernel (Clovisor's) or mesh (all others)")
	complete(c, "output", []string{"text", "json"})
	complete(c, "source", sources)
	return c
}

// sources are the values of --source.
var sources = []string{"kernel", "mesh"}

// kernelScope is the instrumentation scope of Clovisor's spans.
const kernelScope = "github.com/opnfv/clover/clovisor"

// fromSource adds what --source asks for to a filter.
func fromSource(source, filter string) (string, error) {
	operator, ok := map[string]string{"kernel": "=", "mesh": "!="}[source]
	switch {
	case source == "":
		return filter, nil
	case !ok:
		return "", usagef("--source %q is not known; want one of %s", source, strings.Join(sources, ", "))
	}
	part := fmt.Sprintf("scope %s %q", operator, kernelScope)
	if filter == "" {
		return part, nil
	}
	return "(" + filter + ") and " + part, nil
}

// warnUnseen says which services of a filter may be misspelt: their spans can
// still come, so it is no error to wait for them.
func (a *app) warnUnseen(ctx context.Context, cl *client.Client, filter string) {
	f, err := visibility.ParseFilter(filter)
	if err != nil || len(f.Services()) == 0 {
		return
	}
	seen := &v1.ListValuesResponse{}
	q := url.Values{"limit": {"10000"}, "range.last": {"3600s"}, "count": {"COUNT_MODE_SPANS"}}
	if _, err := cl.Get(ctx, "values/service", q, seen); err != nil {
		return // the stream will say it
	}
	for _, name := range f.Services() {
		if !slices.ContainsFunc(seen.GetValues(), func(v *v1.ValueCount) bool { return visibility.SameService(v.GetValue(), name) }) {
			fmt.Fprintf(a.Err, "no span of service %q in the last hour; waiting for one (see `get visibility services`)\n", name)
		}
	}
}

type observer struct {
	*app
	printer show.Printer
	json    bool
	follow  bool
	limit   int // spans wanted; 0: no end
	seen    int
	events  int           // of the stream, signs of life too
	pause   time.Duration // before connecting again
}

var errEnough = errors.New("enough")

// run follows the stream, again after it was lost if follow is set.
func (o *observer) run(ctx context.Context, cl *client.Client, filter string) error {
	q := url.Values{}
	if filter != "" {
		q.Set("filter", filter)
	}
	for {
		o.events = 0
		err := cl.Stream(ctx, "spans", q, func() proto.Message { return &v1.ObserveSpansResponse{} }, o.take)
		switch {
		case errors.Is(err, errEnough), ctx.Err() != nil:
			return nil //nolint:nilerr // the end that was asked for
		case err != nil && (!o.follow || !passing(err) && !o.expired(err)):
			return err
		case err == nil && !o.follow:
			return fmt.Errorf("the controller ended the stream after %d of %d spans", o.seen, o.limit)
		}
		reason := "the controller ended the stream"
		if err != nil {
			reason, _, _ = strings.Cut(err.Error(), "\n")
		}
		fmt.Fprintf(o.Err, "%s; connecting again in %v\n", show.Clean(reason), o.pause)
		select {
		case <-time.After(o.pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// passing reports whether an error may be over soon: nobody answers, or the
// controller is about to end, or its collector is away.
func passing(err error) bool {
	var unreachable *client.UnreachableError
	var st *client.StatusError
	return errors.As(err, &unreachable) ||
		errors.As(err, &st) && (st.Code == codes.Unavailable || st.Code == codes.Canceled)
}

// expired reports whether a stream that ran has ended because the token with
// which it was asked for is not good any more. The next may be.
func (o *observer) expired(err error) bool {
	var st *client.StatusError
	return o.events > 0 && errors.As(err, &st) && st.Code == codes.Unauthenticated
}

// take prints an event and counts it if it is a span.
func (o *observer) take(m proto.Message, raw []byte) error {
	e := m.(*v1.ObserveSpansResponse)
	o.events++
	if err := o.event(e, raw); err != nil {
		return err
	}
	if e.GetSpan() == nil {
		return nil
	}
	if o.seen++; o.seen == o.limit {
		return errEnough
	}
	return nil
}

// event prints one event.
func (o *observer) event(e *v1.ObserveSpansResponse, raw []byte) error {
	if e.GetSpan() == nil && e.GetDropped() == 0 {
		return nil // a sign of life
	}
	if o.json {
		_, err := fmt.Fprintf(o.Out, "%s\n", raw)
		return err
	}
	s := e.GetSpan()
	if s == nil {
		return o.printer.Note(fmt.Sprintf("%d spans were left out: this reader is slow", e.GetDropped()))
	}
	status := "-"
	if s.GetStatus() != 0 {
		status = fmt.Sprint(s.GetStatus())
	}
	line := fmt.Sprintf("%s  %-6s %-24s %3s %8s  %s", s.GetStart().AsTime().Local().Format("15:04:05.000"), s.GetKind(),
		show.Clean(s.GetService()), status, show.Duration(s.GetDuration()), show.Clean(strings.TrimSpace(s.GetMethod()+" "+s.GetUrl())))
	if s.GetError() {
		line = o.printer.Red(line)
	}
	_, err := fmt.Fprintln(o.Out, line)
	return err
}
