package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// exchange is a request on its way, with the configuration that it began with.
type exchange struct {
	group  *group
	client netip.Addr
	key    uint64
}

type exchangeKey struct{}

// newForwarder returns what forwards requests whose context has an exchange.
func (p *Proxy) newForwarder() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:   rewrite,
		Transport: sender{p.opts.Transport},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			x, _ := r.Context().Value(exchangeKey{}).(*exchange)
			p.refuse(w, r, x.group, err)
		},
		ErrorLog:   slog.NewLogLogger(p.opts.Logger.Handler(), slog.LevelDebug),
		BufferPool: buffers{},
	}
}

// rewrite passes on what the client sent, and who the client is.
func rewrite(r *httputil.ProxyRequest) {
	x, _ := r.In.Context().Value(exchangeKey{}).(*exchange)
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = "server" // until one is chosen
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	// ReverseProxy has taken these out; the short ways pass them on.
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := r.In.Header[name]; values != nil {
			r.Out.Header[name] = slices.Clone(values)
		}
	}
	if x.client.IsValid() {
		r.Out.Header.Add("X-Forwarded-For", x.client.String())
	}
	if r.Out.Header["User-Agent"] == nil {
		r.Out.Header["User-Agent"] = nil // send none instead of Go's own
	}
}

// hashKey is what chooses the server of a request by method Hash.
func hashKey(k loadbalancer.HashKey, r *http.Request, client netip.Addr) uint64 {
	switch k.Source {
	case loadbalancer.HashHeader:
		return hashText(r.Header.Get(k.Name))
	case loadbalancer.HashCookie:
		c, err := r.Cookie(k.Name)
		if err != nil {
			return hashText("")
		}
		return hashText(c.Value)
	case loadbalancer.HashURI:
		return hashText(r.RequestURI)
	default:
		return hashText(client.String())
	}
}

// sender sends requests to the servers of their group: by a transport, or nil
// for the server's own connections.
type sender struct{ transport http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t sender) RoundTrip(r *http.Request) (*http.Response, error) {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	g := x.group
	body := &onceBody{ReadCloser: r.Body}
	var tried []*server
	var failed error // of the last server that was tried
	for {
		s, err := g.acquire(r.Context(), x.key, tried)
		if err != nil {
			return nil, errors.Join(cmp.Or(failed, err), body.end())
		}
		ctx, cancel := context.WithCancel(r.Context())
		res, err := t.send(r.WithContext(ctx), s, g, body)
		if err == nil {
			s.stats.count(res.StatusCode)
			res.Body = g.pool.tracked(res, s, cancel)
			return res, nil
		}
		cancel()
		g.pool.release(s)
		if r.Context().Err() != nil {
			return nil, errors.Join(err, body.end())
		}
		g.pool.failed(s, g.conf.Failures, time.Now())
		tried, failed = append(tried, s), fmt.Errorf("%w: %s: %w", errServer, s.address, err)
		if len(tried) >= g.conf.Tries || !again(r, err, body) {
			return nil, errors.Join(failed, body.end())
		}
		g.pool.stats.retries.Add(1)
	}
}

// errServer is a server's connection that failed.
var errServer = errors.New("server failed")

// send sends a request to one server.
func (t sender) send(r *http.Request, s *server, g *group, body *onceBody) (*http.Response, error) {
	s.stats.requests.Add(1)
	try := new(http.Request)
	*try = *r
	try.URL = new(url.URL)
	*try.URL = *r.URL
	try.URL.Host = s.address
	if g.conf.Host == loadbalancer.HostOfServer {
		try.Host = s.address
	}
	if r.Body != nil && r.Body != http.NoBody {
		try.Body = body
	}
	if t.transport != nil {
		return t.transport.RoundTrip(try)
	}
	return s.wire.Load().transport.RoundTrip(try)
}

// again reports whether a request that failed may be sent to another server.
func again(r *http.Request, err error, body *onceBody) bool {
	if body.read.Load() {
		return false
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	if r.Body != nil && r.Body != http.NoBody || r.Header.Get("Upgrade") != "" {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// onceBody is a request's body that stays open between tries, and knows
// whether anything of it has been read.
type onceBody struct {
	io.ReadCloser
	read atomic.Bool
}

// Read implements io.Reader.
func (b *onceBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

// Close does nothing: the server closes a request's body itself.
func (b *onceBody) Close() error { return nil }

func (b *onceBody) end() error {
	if b.ReadCloser == nil {
		return nil
	}
	return b.ReadCloser.Close()
}

// tracked returns the body of a response that gives the server back, and
// cancels the request, when it is closed. The body of an upgraded connection
// can be written to as well.
func (p *pool) tracked(res *http.Response, s *server, cancel context.CancelFunc) io.ReadCloser {
	t := trackedBody{ReadCloser: res.Body, release: sync.OnceFunc(func() {
		cancel()
		p.release(s)
	})}
	if w, ok := res.Body.(io.Writer); ok {
		return struct {
			trackedBody
			io.Writer
		}{t, w}
	}
	if !silent(res.Header) {
		t.ReadCloser = newPacedBody(res.Body, p.piece, cancel)
	}
	return t
}

type trackedBody struct {
	io.ReadCloser
	release func()
}

// Close implements io.Closer.
func (b trackedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// refuse answers a request that no server has answered.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, g *group, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	answer(w, p.refusal(g, err))
}

// refusal is the status for a request that no server has answered.
func (p *Proxy) refusal(g *group, err error) int {
	status := http.StatusBadGateway
	switch {
	case errors.Is(err, errNoServer), errors.Is(err, errFull):
		status = http.StatusServiceUnavailable
		g.pool.stats.unserved.Add(1)
	case isTimeout(err):
		status = http.StatusGatewayTimeout
	}
	p.opts.Logger.Warn("proxy: request", "status", status, "error", err)
	return status
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// buffers are what bodies are copied through.
type buffers struct{}

const bufferBytes = 32 << 10

var bufferPool = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

// Get implements httputil.BufferPool.
func (buffers) Get() []byte { return bufferPool.Get().(*[bufferBytes]byte)[:] }

// Put implements httputil.BufferPool.
func (buffers) Put(b []byte) {
	if len(b) == bufferBytes {
		bufferPool.Put((*[bufferBytes]byte)(b))
	}
}
