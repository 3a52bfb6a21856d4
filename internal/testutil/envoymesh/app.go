package envoymesh

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// carried are the headers that a real service has to hand on so that a trace
// does not end at it, and the client's name.
var carried = []string{
	"X-Request-Id", "Traceparent", "Tracestate", "Baggage", "User-Agent",
	"B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Flags",
}

// Served is what a service answered.
type Served struct {
	// Service is the one that answered, such as [Balancer].
	Service, Method, Path string
	// Status is what it answered, 0 if its client went away before that.
	Status int
}

// tally counts what the services themselves answered.
type tally struct {
	mu     sync.Mutex
	counts map[Served]int
}

func (t *tally) add(s Served) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[Served]int{}
	}
	t.counts[s]++
}

// Tally returns how often each service gave which answer. It may be called
// from any goroutine.
func (m *Mesh) Tally() map[Served]int {
	m.tally.mu.Lock()
	defer m.tally.mu.Unlock()
	return maps.Clone(m.tally.counts)
}

// app starts a service on loopback and returns its address. With an outbound
// address it hands every request on to the balancer through its own sidecar,
// without one it answers.
func (m *Mesh) app(service, outbound string) string {
	answer := m.answer
	if outbound != "" {
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		m.t.Cleanup(transport.CloseIdleConnections)
		next := &forwarder{client: &http.Client{Transport: transport}, outbound: outbound}
		answer = next.answer
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(r)
		if r.Context().Err() != nil {
			status = 0
		}
		m.tally.add(Served{Service: service, Method: r.Method, Path: r.URL.Path, Status: status})
		if status == 0 {
			return
		}
		w.WriteHeader(status)
		// Nobody is left to tell if the client has gone.
		_, _ = io.WriteString(w, body)
	}))
	m.t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// answer is the end of the chain: the path says what to do.
func (m *Mesh) answer(r *http.Request) (int, string) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return http.StatusBadRequest, "body\n"
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "slow":
		wait(r, m.options.SlowDelay)
	case "timeout":
		// Longer than any test; the front proxy gives up before.
		wait(r, time.Hour)
	case "fail":
		return http.StatusServiceUnavailable, "failed\n"
	case "status":
		if code, err := strconv.Atoi(rest); err == nil && code >= 200 && code <= 599 {
			return code, ""
		}
		return http.StatusBadRequest, "status\n"
	}
	return http.StatusOK, "ok\n"
}

// wait waits for that long or until the client has gone.
func wait(r *http.Request, d time.Duration) {
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}

// forwarder is a service in the middle of the chain.
type forwarder struct {
	client   *http.Client
	outbound string
}

func (f *forwarder) answer(r *http.Request) (int, string) {
	to := url.URL{Scheme: "http", Host: f.outbound, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, to.String(), r.Body)
	if err != nil {
		return http.StatusInternalServerError, err.Error()
	}
	req.ContentLength = r.ContentLength
	req.Host = "http-lb:9180"
	for _, name := range carried {
		if values := r.Header.Values(name); len(values) > 0 {
			req.Header[name] = values
		}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	return resp.StatusCode, string(body)
}
