package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/backlog"
	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
)

// Bounds of the mirror. A copy that waits holds at most maxMirrorBody.
const (
	mirrorWorkers = 4
	mirrorQueue   = 256
	maxMirrorBody = 64 << 10
)

// MirrorStats is the mirror's ledger: Seen is the sum of Sent, Failed,
// Dropped and of the copies that wait or are on their way.
type MirrorStats struct {
	Seen      uint64
	Sent      uint64 // answered by the IDS, with whatever status
	Failed    uint64 // not answered in time, or not reachable
	Dropped   uint64 // left out because too many waited, or at the end
	Truncated uint64 // of those seen: sent with the first 64 KiB of their body
}

// mirror sends copies of requests. A request never waits for its copy.
type mirror struct {
	transport http.RoundTripper
	timeout   time.Duration
	backlog   *backlog.Backlog[*http.Request]
	stats     struct{ seen, sent, failed, truncated atomic.Uint64 }
}

func newMirror(transport http.RoundTripper, timeout time.Duration) *mirror {
	m := &mirror{transport: transport, timeout: timeout}
	m.backlog = backlog.New(backlog.Options{Size: mirrorQueue, Workers: mirrorWorkers, Grace: timeout}, m.send)
	return m
}

func (m *mirror) read() MirrorStats {
	s := &m.stats
	return MirrorStats{
		Seen: s.seen.Load(), Sent: s.sent.Load(), Failed: s.failed.Load(),
		Dropped: m.backlog.Dropped(), Truncated: s.truncated.Load(),
	}
}

// tee queues a copy of a request: at once, or when its body has been read.
func (m *mirror) tee(r *http.Request, target string) {
	m.stats.seen.Add(1)
	ctx := sidecar.WithMirrored(context.WithoutCancel(r.Context()))
	c := r.Clone(ctx)
	// An absolute URI would name another host.
	c.URL = &url.URL{Scheme: "http", Host: target, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	c.Host, c.RequestURI, c.Body, c.ContentLength = "", "", http.NoBody, 0
	c.TransferEncoding, c.Trailer, c.Close = nil, nil, false
	for _, name := range []string{"Connection", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Connection"} {
		c.Header.Del(name)
	}
	if r.Body == nil || r.Body == http.NoBody {
		m.backlog.Offer(c)
		return
	}
	r.Body = &teeBody{ReadCloser: r.Body, mirror: m, request: c}
}

// teeBody keeps the beginning of a body while it is forwarded.
type teeBody struct {
	io.ReadCloser
	mirror  *mirror
	request *http.Request

	mu   sync.Mutex
	kept []byte
	over bool
	done bool
}

func (b *teeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return n, err // the copy has gone already
	}
	keep := min(n, maxMirrorBody-len(b.kept))
	b.kept = append(b.kept, p[:keep]...)
	b.over = b.over || keep < n
	if err != nil {
		b.finish()
	}
	return n, err
}

func (b *teeBody) Close() error {
	b.mu.Lock()
	b.finish()
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// finish sends the copy off, once. mu is held.
func (b *teeBody) finish() {
	if b.done {
		return
	}
	b.done = true
	if b.over {
		b.mirror.stats.truncated.Add(1)
	}
	if len(b.kept) > 0 {
		b.request.Body = io.NopCloser(bytes.NewReader(b.kept))
		b.request.ContentLength = int64(len(b.kept))
	}
	b.mirror.backlog.Offer(b.request)
}

// send sends a copy, unless end comes first.
func (m *mirror) send(end context.Context, c *http.Request) {
	ctx, cancel := context.WithTimeout(c.Context(), m.timeout)
	defer cancel()
	defer context.AfterFunc(end, cancel)()
	res, err := m.transport.RoundTrip(c.WithContext(ctx))
	if err != nil {
		m.stats.failed.Add(1)
		return
	}
	// The answer is of no use; reading it keeps the connection.
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxMirrorBody))
	if res.Body.Close() != nil || err != nil {
		m.stats.failed.Add(1)
		return
	}
	m.stats.sent.Add(1)
}
