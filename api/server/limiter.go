package server

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxClients bounds how many clients a limiter remembers.
const maxClients = 4096

// limiter gives each client a token bucket. The one that was quiet longest
// is forgotten when there are too many. Its methods may be called
// concurrently.
type limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	clients map[string]*list.Element // of bucket
	order   *list.List               // latest first
}

type bucket struct {
	key string
	*rate.Limiter
}

// newLimiter returns a limiter of perSecond requests; below 0 it limits
// nothing.
func newLimiter(perSecond, burst float64) *limiter {
	return &limiter{
		rate: rate.Limit(perSecond), burst: max(1, int(math.Ceil(burst))),
		clients: map[string]*list.Element{}, order: list.New(),
	}
}

// take takes a token of a client, or returns how long until there is one.
func (l *limiter) take(key string) (wait time.Duration) {
	if l.rate < 0 {
		return 0
	}
	now := time.Now()
	r := l.bucket(key).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// wait returns how long until a client has a token, and takes none.
func (l *limiter) wait(key string) time.Duration {
	if l.rate < 0 {
		return 0
	}
	l.mu.Lock()
	e, known := l.clients[key]
	l.mu.Unlock()
	if !known {
		return 0
	}
	missing := 1 - e.Value.(bucket).Tokens()
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(l.rate) * float64(time.Second))
}

func (l *limiter) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.clients[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(bucket).Limiter
	}
	if l.order.Len() >= maxClients {
		last := l.order.Back()
		delete(l.clients, last.Value.(bucket).key)
		l.order.Remove(last)
	}
	b := bucket{key, rate.NewLimiter(l.rate, l.burst)}
	l.clients[key] = l.order.PushFront(b)
	return b.Limiter
}
