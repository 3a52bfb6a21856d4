package mesh

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
	// askAtOnce bounds how many proxies are asked side by side.
	askAtOnce = 8
	// adminPort is where a proxy tells about itself.
	adminPort = 15000
	// rounds is how many pushes prove that one was taken whole; see settle.
	rounds = 3
	// refusalLimit is how long a proxy may hold something against its
	// configuration after a newer one was sent to it: until it has answered, it
	// may be about the one before.
	refusalLimit = 15 * time.Second
)

// Rollout says what Wait saw.
type Rollout struct {
	// ControlPlanes and Proxies count the istiods and the proxies that have
	// the set.
	ControlPlanes, Proxies int
}

// Wait returns when every proxy that is connected to a control plane works by
// what the API server now holds for the resources that s names, those that
// are deleted included. A request that begins later takes no older route, on
// whatever connection. What is part of a listener (Gateway, EnvoyFilter,
// Telemetry) holds for connections that begin later; with [Options.Drain]
// Wait goes on until there are no earlier ones.
//
// It asks, never guesses by time: each istiod has stored these versions; a
// marker that is written after that (a Telemetry which selects nothing, in
// Istio's namespace, removed at the end) shows that istiod's pushes are made
// with them; every proxy acknowledges such a push; and no proxy is still
// warming a listener or cluster up. A proxy that goes on refusing its
// configuration is an error after some seconds, which matches [ErrInvalid].
// If ctx ends first the error says who lags, and matches [ErrTemporary].
//
// Beside reading it needs the permissions to create pods/portforward and to
// create and delete Telemetry resources in Istio's namespace. istiod sends
// everything to all proxies a few times.
func (c *Client) Wait(ctx context.Context, s Set) (Rollout, error) {
	want, err := c.wanted(ctx, s)
	if err != nil {
		return Rollout{}, err
	}
	planes, err := c.controlPlanes(ctx)
	if err != nil {
		return Rollout{}, err
	}
	defer closeAll(planes)
	for _, d := range planes {
		if err := poll(ctx, d.name, func() (string, error) { return d.lacks(ctx, want) }); err != nil {
			return Rollout{}, err
		}
	}
	if err := c.mark(ctx, planes); err != nil {
		return Rollout{}, err
	}
	seen := Rollout{ControlPlanes: len(planes)}
	for _, d := range planes {
		proxies, err := c.settle(ctx, d)
		if err != nil {
			return Rollout{}, err
		}
		if err := c.warm(ctx, proxies); err != nil {
			return Rollout{}, err
		}
		seen.Proxies += len(proxies)
	}
	return seen, nil
}

// poll calls look until it says that nothing lags.
func poll(ctx context.Context, target string, look func() (lag string, err error)) error {
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		lag, err := look()
		if err == nil && lag == "" {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return fault("wait", target, err)
		}
		select {
		case <-ctx.Done():
			if lag == "" {
				lag = "no answer"
			}
			return &Error{Op: "wait", Target: target, Kind: ErrTemporary, Err: fmt.Errorf("%s: %w", lag, context.Cause(ctx))}
		case <-time.After(wait):
		}
	}
}

// lacks says which resource istiod has not stored as wanted.
func (d istiod) lacks(ctx context.Context, want map[string]string) (string, error) {
	have, err := d.stored(ctx)
	if err != nil {
		return "", err
	}
	for object, version := range want {
		switch {
		case have[object] == version:
		case version == "":
			return "still has " + object, nil
		default:
			return fmt.Sprintf("has version %q of %s, not %q", have[object], object, version), nil
		}
	}
	return "", nil
}

// settle waits until every proxy has acknowledged a whole push of the present
// state, and lists them.
//
// istiod sends a push to a proxy type by type, clusters first, and begins the
// next one when all is sent. The first new clusters may belong to an older
// push that was under way, the second ones to the first new push, so that
// with the third ones the first new push was sent whole.
func (c *Client) settle(ctx context.Context, d istiod) ([]proxy, error) {
	proxies, err := d.proxies(ctx)
	if err != nil {
		return nil, fault("wait", d.name, err)
	}
	for range rounds {
		before := map[string]string{}
		for _, p := range proxies {
			before[p.ID] = p.Resources[clusterType].Sent
		}
		refused := newRefusals(proxies)
		if err := d.push(ctx); err != nil {
			return nil, fault("wait", d.name, err)
		}
		err := poll(ctx, d.name, func() (string, error) {
			now, err := d.proxies(ctx)
			if err != nil {
				return "", err
			}
			proxies = now
			return lagging(proxies, before), refused.lasting(proxies, time.Now())
		})
		if err != nil {
			return nil, err
		}
	}
	return proxies, nil
}

// delivery is something that a proxy was sent.
type delivery struct{ proxy, kind, version string }

// refusals tells proxies that refuse what they were sent after a push from
// those that have not answered yet.
type refusals struct {
	before map[delivery]bool
	since  map[delivery]time.Time // when a newer one was first seen while something is held against one
}

func newRefusals(before []proxy) refusals {
	r := refusals{before: map[delivery]bool{}, since: map[delivery]time.Time{}}
	for _, p := range before {
		for kind, x := range p.Resources {
			r.before[delivery{p.ID, kind, x.Sent}] = true
		}
	}
	return r
}

// lasting is the error of a proxy whose refusal lasts.
func (r refusals) lasting(proxies []proxy, now time.Time) error {
	for _, p := range proxies {
		for kind, x := range p.Resources {
			d := delivery{p.ID, kind, x.Sent}
			if x.LastError == "" || r.before[d] {
				continue
			}
			if _, seen := r.since[d]; !seen {
				r.since[d] = now
			}
			if now.Sub(r.since[d]) > refusalLimit {
				return &Error{
					Op: "wait", Target: "proxy " + p.ID, Kind: ErrInvalid,
					Err: fmt.Errorf("it refuses its configuration: %s: %s", kind[strings.LastIndex(kind, ".")+1:], x.LastError),
				}
			}
		}
	}
	return nil
}

// lagging names the proxies that have not acknowledged something newer.
func lagging(proxies []proxy, before map[string]string) string {
	var late []string
	for _, p := range proxies {
		if !p.current() || before[p.ID] == p.Resources[clusterType].Sent {
			late = append(late, p.ID)
		}
	}
	if len(late) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d proxies lag: %s", len(late), len(proxies), shorten(late))
}

// shorten lists a few names.
func shorten(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", ..."
}

// warm waits until no proxy is preparing listeners or clusters any more, or
// draining old ones if that is asked for.
func (c *Client) warm(ctx context.Context, proxies []proxy) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)
	for _, p := range proxies {
		group.Go(func() error { return c.warmed(ctx, p) })
	}
	return group.Wait()
}

func (c *Client) warmed(ctx context.Context, p proxy) error {
	namespace, name := p.place()
	way, err := c.forward(ctx, namespace, name, adminPort)
	if err != nil {
		if _, gone := c.core.Pods(namespace).Get(ctx, name, metav1.GetOptions{}); apierrors.IsNotFound(gone) {
			return nil // it ended meanwhile and takes no request
		}
		return fault("port-forward", "Pod "+namespace+"/"+name, err)
	}
	defer way.close()
	return poll(ctx, "proxy "+p.ID, func() (string, error) {
		body, err := way.get(ctx, "/stats?"+url.Values{"filter": {"warming|draining"}}.Encode())
		if err != nil {
			return "", err
		}
		return busy(string(body), c.options.Drain), nil
	})
}

// busy says what a proxy is still preparing or, if that counts, has not ended
// yet, by its statistics.
func busy(stats string, drain bool) string {
	for line := range strings.Lines(stats) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if (strings.Contains(name, "warming") || drain && strings.Contains(name, "draining")) && value != "0" {
			return name + " is " + value
		}
	}
	return ""
}
