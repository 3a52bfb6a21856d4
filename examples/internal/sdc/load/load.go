// Package load sends requests to the sample at a rate, and counts what came
// back, to compare with what others have counted.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
)

// maxInFlight bounds the requests under way. When so many are, the next one
// waits, and the rate falls.
const maxInFlight = 512

// Options of a Generator. URLs are needed; of the rest the zero value works.
type Options struct {
	// URLs are where requests go, http://HOST:PORT; each in turn.
	URLs []string
	// Rate is the number of requests a second. 0: 20.
	Rate float64
	// Requests ends the load after that many. 0: never.
	Requests int
	// Duration ends the load after that time. 0: never.
	Duration time.Duration
	// Seed makes the load repeatable. 0: a random one.
	Seed uint64
	// Methods, Paths and Agents are drawn from, all alike. If none are
	// given: the mix of the sample, see [DefaultKinds] and [DefaultAgents].
	Methods, Paths, Agents []string
	// Clients lets each user agent be a client of its own: the N-th says in
	// X-Forwarded-For that it is 203.0.113.N (RFC 5737), from 1.
	Clients bool
	// Timeout bounds a request. 0: 5 s.
	Timeout time.Duration
	// Transport sends. nil: an own one.
	Transport http.RoundTripper
}

// Kind is a kind of request.
type Kind struct {
	Share        int // in percent
	Method, Path string
}

// DefaultKinds are the requests of the sample: their paths choose what the
// servers answer. ID stands for one of ten numbers.
func DefaultKinds() []Kind {
	return []Kind{
		{30, http.MethodGet, "/"},
		{18, http.MethodGet, "/clover/testurl"},
		{12, http.MethodGet, "/clover/file1.png"},
		{10, http.MethodGet, "/item/ID"},
		{10, http.MethodPost, "/upload"},
		{8, http.MethodGet, "/slow/report"},
		{6, http.MethodGet, "/missing"},
		{4, http.MethodGet, "/broken"},
		{2, http.MethodHead, "/"},
	}
}

// DefaultAgents are the user agents of the sample. The last is one that the
// IDS knows.
func DefaultAgents() []string {
	return []string{
		"Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0", "Mozilla/5.0 (Macintosh) Safari/26.1",
		"curl/8.14.1", "Apache-HttpClient/4.5.14 (Java/17)", "asafaweb.com",
	}
}

// Generator sends requests.
type Generator struct {
	opts   Options
	kinds  []Kind
	client *http.Client
	tally  tally
}

// New returns a Generator.
func New(opts Options) (*Generator, error) {
	if len(opts.URLs) == 0 {
		return nil, errors.New("load: no URLs are given")
	}
	for i, text := range opts.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" || u.Host == "" {
			return nil, fmt.Errorf("load: %q is not http://HOST:PORT", text)
		}
		opts.URLs[i] = strings.TrimSuffix(text, "/")
	}
	if opts.Rate < 0 || opts.Rate > 100_000 || opts.Requests < 0 || opts.Duration < 0 || opts.Timeout < 0 {
		return nil, fmt.Errorf("load: rate %g is not between 0 and 100000, or requests %d, duration %s or timeout %s is negative",
			opts.Rate, opts.Requests, opts.Duration, opts.Timeout)
	}
	if opts.Rate == 0 {
		opts.Rate = 20
	}
	if opts.Timeout == 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64()
	}
	g := &Generator{opts: opts, kinds: kinds(opts), client: &http.Client{
		Timeout: opts.Timeout, Transport: opts.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if len(opts.Agents) == 0 {
		g.opts.Agents = DefaultAgents()
	}
	if opts.Transport == nil {
		g.client.Transport = &http.Transport{MaxIdleConnsPerHost: maxInFlight}
	}
	g.tally.init()
	return g, nil
}

// kinds makes every pair of a method and a path, or the sample's mix.
func kinds(opts Options) []Kind {
	if len(opts.Methods) == 0 && len(opts.Paths) == 0 {
		return DefaultKinds()
	}
	methods, paths := opts.Methods, opts.Paths
	if len(methods) == 0 {
		methods = []string{http.MethodGet}
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	var list []Kind
	for _, m := range methods {
		for _, p := range paths {
			list = append(list, Kind{Share: 1, Method: m, Path: "/" + strings.TrimPrefix(p, "/")})
		}
	}
	return list
}

// Run sends until ctx ends, or the requests or the time asked for are over,
// and waits for the answers.
func (g *Generator) Run(ctx context.Context) error {
	if g.opts.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.opts.Duration)
		defer cancel()
	}
	defer g.client.CloseIdleConnections()
	rng := rand.New(rand.NewPCG(g.opts.Seed, g.opts.Seed))
	tick := time.NewTicker(max(time.Duration(float64(time.Second)/g.opts.Rate), 1))
	defer tick.Stop()
	slots := make(chan struct{}, maxInFlight)
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	g.tally.begin()
	for sent := 0; g.opts.Requests == 0 || sent < g.opts.Requests; sent++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		slots <- struct{}{}
		r := g.draw(rng, sent)
		inFlight.Go(func() {
			g.send(context.WithoutCancel(ctx), r)
			<-slots
		})
	}
	return nil
}

// request is what is sent.
type request struct{ method, url, path, agent, client string }

// draw chooses a request by its share.
func (g *Generator) draw(rng *rand.Rand, sent int) request {
	total := 0
	for _, k := range g.kinds {
		total += k.Share
	}
	n, chosen := rng.IntN(total), g.kinds[0]
	for _, k := range g.kinds {
		if n -= k.Share; n < 0 {
			chosen = k
			break
		}
	}
	id := string(rune('0' + rng.IntN(10)))
	agent := rng.IntN(len(g.opts.Agents))
	r := request{
		method: chosen.Method, path: strings.Replace(chosen.Path, "ID", "100"+id, 1),
		url: g.opts.URLs[sent%len(g.opts.URLs)], agent: g.opts.Agents[agent],
	}
	if g.opts.Clients {
		r.client = fmt.Sprintf("203.0.113.%d", agent+1)
	}
	return r
}

// send sends one request and counts its answer.
func (g *Generator) send(ctx context.Context, r request) {
	start := time.Now()
	status := 0
	defer func() { g.tally.add(r, status, time.Since(start)) }()
	req, err := http.NewRequestWithContext(ctx, r.method, r.url+r.path, nil)
	if err != nil {
		return
	}
	req.Header.Set("User-Agent", r.agent)
	if r.client != "" {
		req.Header.Set("X-Forwarded-For", r.client)
	}
	req.Header.Set("X-Request-Id", sidecar.NewRequestID())
	res, err := g.client.Do(req)
	if err != nil {
		return
	}
	_, err = io.Copy(io.Discard, res.Body)
	if res.Body.Close() == nil && err == nil {
		status = res.StatusCode
	}
}
