package monitoring

import (
	"context"
	"slices"
	"sync"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Client reads from one Prometheus server, or from anything that speaks its
// HTTP API. It is safe for concurrent use and starts no goroutine.
type Client struct {
	opts   Options
	target string // URL for messages, without credentials
	http   *apiClient
	api    promv1.API

	mu      sync.Mutex
	missing map[string]missingEntry // see missing.go
}

// New makes a client. It does not contact the server; [Client.Check] does.
// An error matches ErrInvalid and names the field.
func New(opts Options) (*Client, error) {
	opts, base, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{opts: opts, target: base.String(), missing: make(map[string]missingEntry)}
	if c.http, err = newAPIClient(&c.opts, base); err != nil {
		return nil, err
	}
	c.api = promv1.NewAPI(c.http)
	return c, nil
}

// URL returns the server's URL without credentials.
func (c *Client) URL() string { return c.target }

// CloseIdleConnections closes connections that are kept for reuse. The client
// stays usable.
func (c *Client) CloseIdleConnections() { c.http.http.CloseIdleConnections() }

// call runs one request under the client's timeout and classifies its error.
func (c *Client) call(ctx context.Context, op string, f func(context.Context) error) error {
	if c.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
	}
	start := time.Now()
	err := classify(op, c.target, f(ctx))
	c.opts.Logger.DebugContext(ctx, "prometheus request", "op", op, "url", c.target, "took", time.Since(start), "error", err)
	return err
}

// Check asks the server who it is and returns nil when it can answer queries.
// Servers without the build information endpoint are asked a trivial query.
// It is cheap enough for a readiness probe.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.Version(ctx)
	return err
}

// Version returns the server's version, such as "2.53.3", or "" when a server
// that answers queries does not tell.
func (c *Client) Version(ctx context.Context) (string, error) {
	var version string
	err := c.call(ctx, "check", func(ctx context.Context) error {
		info, err := c.api.Buildinfo(ctx)
		version = info.Version
		return err
	})
	if !isUnsupported(err) {
		return version, err
	}
	return "", c.call(ctx, "check", func(ctx context.Context) error {
		_, _, _, err := c.api.Query(ctx, "vector(1)", time.Time{})
		return err
	})
}

// Target is one endpoint that the server scrapes.
type Target struct {
	Job            string
	Instance       string
	ScrapeURL      string
	Health         string // "up", "down" or "unknown" (not scraped yet)
	LastError      string // "" when the last scrape was good
	LastScrape     time.Time
	ScrapeDuration time.Duration
	Labels         map[string]string // all labels, job and instance included
}

// Targets lists the server's active targets, sorted by job, instance and URL.
// Servers that do not scrape (query front ends) answer with ErrUnsupported.
func (c *Client) Targets(ctx context.Context) ([]Target, error) {
	var targets []Target
	err := c.call(ctx, "targets", func(ctx context.Context) error {
		result, err := c.api.Targets(ctx)
		for _, t := range result.Active {
			labels := make(map[string]string, len(t.Labels))
			for name, value := range t.Labels {
				labels[string(name)] = string(value)
			}
			targets = append(targets, Target{
				Job: labels[model.JobLabel], Instance: labels[model.InstanceLabel],
				ScrapeURL: t.ScrapeURL, Health: string(t.Health), LastError: t.LastError,
				LastScrape:     t.LastScrape,
				ScrapeDuration: time.Duration(t.LastScrapeDuration * float64(time.Second)),
				Labels:         labels,
			})
		}
		return err
	})
	slices.SortFunc(targets, func(a, b Target) int {
		return compareStrings(a.Job, b.Job, a.Instance, b.Instance, a.ScrapeURL, b.ScrapeURL)
	})
	return targets, err
}

// LabelValues lists the values of a label, sorted, over the series that match
// any of the selectors (nil = all series) and have samples between from and
// to (zero = the server's choice). Use label "__name__" for metric names. At
// most MaxSamples values; more is ErrTooLarge.
func (c *Client) LabelValues(ctx context.Context, label string, matchers []string, from, to time.Time) ([]string, error) {
	if label == "" {
		return nil, invalidf("label values", "label", "empty name")
	}
	var values []string
	err := c.call(ctx, "label values", func(ctx context.Context) error {
		result, _, _, err := c.api.LabelValues(ctx, label, matchers, from, to, c.limit())
		if err != nil {
			return err
		}
		if err := c.bound(len(result), "label values"); err != nil {
			return err
		}
		values = make([]string, len(result))
		for i, v := range result {
			values[i] = string(v)
		}
		return nil
	})
	slices.Sort(values)
	return values, err
}

// limit asks servers that know the parameter (Prometheus 2.51 and later) for
// one item more than is allowed, so that too much is noticed and not sent.
func (c *Client) limit() promv1.Option { return promv1.WithLimit(uint64(c.opts.MaxSamples) + 1) }
