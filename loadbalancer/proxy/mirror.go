package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// Bounds of the mirror.
const (
	mirrorWorkers = 8
	mirrorQueue   = 512
	// mirrorBytes bounds the bodies of all copies that are in memory.
	mirrorBytes = 32 << 20
)

// MirrorStats is the mirror's ledger: Seen is the sum of Sent, Failed,
// Dropped and of the copies that are in the queue or on their way.
type MirrorStats struct {
	Seen      uint64
	Sent      uint64 // answered, with whatever status
	Failed    uint64 // not answered in time, or not reachable
	Dropped   uint64 // left out because too many waited, or at the end
	Truncated uint64 // of those seen: without the rest of a body that is too long
}

// mirror sends copies of requests. A request never waits for its copy.
type mirror struct {
	transport http.RoundTripper
	own       *http.Transport // nil: transport is somebody else's
	queue     chan *mirrorCopy
	bytes     atomic.Int64
	stats     struct{ seen, sent, failed, dropped, truncated atomic.Uint64 }
}

// mirrorCopy is a copy of a request.
type mirrorCopy struct {
	request *http.Request
	context context.Context //nolint:containedctx // has the request's trace
	body    []byte
	timeout time.Duration
}

// newMirror returns a mirror that sends by a transport, or nil for its own.
func newMirror(transport http.RoundTripper) *mirror {
	m := &mirror{transport: transport, queue: make(chan *mirrorCopy, mirrorQueue)}
	if transport == nil {
		m.own = newTransport(wireOptions{connect: 10 * time.Second}) // a copy has less, as a rule
		m.transport = m.own
	}
	return m
}

func (m *mirror) read() MirrorStats {
	s := &m.stats
	return MirrorStats{
		Seen: s.seen.Load(), Sent: s.sent.Load(), Failed: s.failed.Load(),
		Dropped: s.dropped.Load(), Truncated: s.truncated.Load(),
	}
}

// tee takes a copy of a request: at once, or when its body has been read. Its
// X-Forwarded-For ends with the client, as that of the request itself does.
func (m *mirror) tee(r *http.Request, to loadbalancer.Mirror, client netip.Addr) {
	m.stats.seen.Add(1)
	header := r.Header.Clone()
	if client.IsValid() {
		header.Add("X-Forwarded-For", client.String())
	}
	for _, name := range []string{"Connection", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding"} {
		delete(header, name)
	}
	c := &mirrorCopy{timeout: to.Timeout, context: context.WithValue(context.WithoutCancel(r.Context()), copyKey{}, true), request: &http.Request{
		Method: r.Method, Host: r.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: "http", Host: to.Address, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
	}}
	if r.Body == nil || r.Body == http.NoBody {
		m.offer(c)
		return
	}
	r.Body = &teeBody{ReadCloser: r.Body, mirror: m, copy: c, limit: to.MaxBodyBytes}
}

type copyKey struct{}

// IsCopy reports whether a request that Options.Transport is given is a copy
// for the mirror.
func IsCopy(ctx context.Context) bool { return ctx.Value(copyKey{}) != nil }

// offer queues a copy, or leaves it out.
func (m *mirror) offer(c *mirrorCopy) {
	select {
	case m.queue <- c:
	default:
		m.drop(c)
	}
}

func (m *mirror) drop(c *mirrorCopy) {
	m.stats.dropped.Add(1)
	m.bytes.Add(-int64(len(c.body)))
}

// teeBody keeps the beginning of a body while it is forwarded.
type teeBody struct {
	io.ReadCloser
	mirror *mirror
	limit  int64

	mu   sync.Mutex
	copy *mirrorCopy // nil: it is on its way
	over bool
}

// Read implements io.Reader.
func (b *teeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.copy == nil {
		return n, err
	}
	keep := min(n, int(b.limit)-len(b.copy.body))
	if keep > 0 && b.mirror.bytes.Add(int64(keep)) > mirrorBytes {
		b.mirror.bytes.Add(-int64(keep))
		keep = 0
	}
	b.copy.body = append(b.copy.body, p[:max(keep, 0)]...)
	b.over = b.over || keep < n
	if err != nil {
		b.finish()
	}
	return n, err
}

// Close implements io.Closer.
func (b *teeBody) Close() error {
	b.mu.Lock()
	b.finish()
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// finish sends the copy off, once. mu is held.
func (b *teeBody) finish() {
	if b.copy == nil {
		return
	}
	if b.over {
		b.mirror.stats.truncated.Add(1)
	}
	c := b.copy
	b.copy = nil
	delete(c.request.Header, "Content-Length")
	b.mirror.offer(c)
}

// run sends copies until ctx ends, and then for a while those that wait. What
// still waits after that is left out.
func (m *mirror) run(ctx context.Context, grace time.Duration) {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	var workers sync.WaitGroup
	for range mirrorWorkers {
		workers.Go(func() {
			m.work(ctx, last)
			m.drain(last)
		})
	}
	workers.Wait()
	if m.own != nil {
		m.own.CloseIdleConnections()
	}
}

// work sends copies until ctx ends; one that is on its way goes on until last
// does.
func (m *mirror) work(ctx, last context.Context) {
	for {
		select {
		case c := <-m.queue:
			m.send(last, c)
		case <-ctx.Done():
			return
		}
	}
}

// drain sends what waits until ctx ends, and leaves out the rest.
func (m *mirror) drain(ctx context.Context) {
	for {
		select {
		case c := <-m.queue:
			if ctx.Err() != nil {
				m.drop(c)
			} else {
				m.send(ctx, c)
			}
		default:
			return
		}
	}
}

// send sends a copy, unless end comes first.
func (m *mirror) send(end context.Context, c *mirrorCopy) {
	defer m.bytes.Add(-int64(len(c.body)))
	ctx, cancel := context.WithTimeout(c.context, c.timeout)
	defer cancel()
	defer context.AfterFunc(end, cancel)()
	r := c.request.WithContext(ctx)
	if len(c.body) > 0 {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
	}
	res, err := m.transport.RoundTrip(r)
	if err != nil {
		m.stats.failed.Add(1)
		return
	}
	// The answer is of no use; reading it keeps the connection.
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, bufferBytes))
	if res.Body.Close() != nil || err != nil {
		m.stats.failed.Add(1)
		return
	}
	m.stats.sent.Add(1)
}
