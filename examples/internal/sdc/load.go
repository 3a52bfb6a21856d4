package sdc

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// kinds of requests in the load, with their share in percent.
var kinds = []struct {
	share        int
	method, path string
}{
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

// agents of the load. The last is the one that the guide's IDS rule knows.
var agents = []string{
	"Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0", "Mozilla/5.0 (Macintosh) Safari/26.1",
	"curl/8.14.1", "Apache-HttpClient/4.5.14 (Java/17)", "asafaweb.com",
}

// load sends requests at the rate asked for until ctx ends or Requests have
// been sent, and waits for their answers.
func (s *Sample) load(ctx context.Context) {
	seed := s.opts.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, seed))
	tick := time.NewTicker(time.Duration(float64(time.Second) / s.opts.Rate))
	defer tick.Stop()
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	for sent := 0; s.opts.Requests == 0 || sent < s.opts.Requests; sent++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		method, path := pick(rng)
		agent := agents[min(rng.IntN(20)/4, len(agents)-1)]
		inFlight.Go(func() { s.request(context.WithoutCancel(ctx), method, path, agent) })
	}
}

// pick draws a request by its share.
func pick(rng *rand.Rand) (method, path string) {
	n := rng.IntN(100)
	for _, k := range kinds {
		if n -= k.share; n < 0 {
			id := string(rune('0' + rng.IntN(10)))
			return k.method, strings.Replace(k.path, "ID", "100"+id, 1)
		}
	}
	return kinds[0].method, kinds[0].path
}

// request sends one request to the proxy, as a client outside of the mesh.
func (s *Sample) request(ctx context.Context, method, path, agent string) {
	req, err := http.NewRequestWithContext(ctx, method, s.urls["proxy-access-control"]+path, nil)
	if err != nil {
		s.opts.Logger.Error("sdc sample: request", "err", err)
		return
	}
	req.Host = "proxy-access-control:" + port
	req.Header.Set("User-Agent", agent)
	req.Header.Set("x-request-id", requestID())
	res := s.do(req)
	s.tally.sent(path, agent, res.status)
}

// Tally is what the sample itself counted.
type Tally struct {
	Sent        int            // requests answered by the proxy, or failed
	ByStatus    map[int]int    // of those sent
	ByPath      map[string]int // of those sent
	ByAgent     map[string]int // of those sent
	Served      map[string]int // requests answered, by service
	NotMirrored int            // copies left out
}

type tally struct {
	mu sync.Mutex
	t  Tally
}

func (t *tally) init() {
	t.t = Tally{ByStatus: map[int]int{}, ByPath: map[string]int{}, ByAgent: map[string]int{}, Served: map[string]int{}}
}

func (t *tally) sent(path, agent string, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Sent++
	t.t.ByStatus[status]++
	t.t.ByPath[path]++
	t.t.ByAgent[agent]++
}

func (t *tally) served(service string, _ int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Served[service]++
}

func (t *tally) leftOut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.NotMirrored++
}

// Tally returns what was counted so far. Safe for concurrent use.
func (s *Sample) Tally() Tally {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	t := s.tally.t
	t.ByStatus, t.ByPath = maps.Clone(t.ByStatus), maps.Clone(t.ByPath)
	t.ByAgent, t.Served = maps.Clone(t.ByAgent), maps.Clone(t.Served)
	return t
}
