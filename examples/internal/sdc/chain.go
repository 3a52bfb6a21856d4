package sdc

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// mirrorWorkers bounds the copies that are on their way to the IDS.
const mirrorWorkers = 4

// addServices lays out the chain of the guide.
func (s *Sample) addServices() {
	s.add("proxy-access-control", "latest", s.proxy())
	s.add("http-lb", "v1", s.balancer("clover-server1", "clover-server2", "clover-server3"))
	s.add("http-lb", "v2", s.balancer("clover-server4", "clover-server5"))
	for i := 1; i <= 5; i++ {
		s.add(fmt.Sprintf("clover-server%d", i), "latest", serveContent)
	}
	s.add("snort-ids", "latest", func(call) reply { return reply{status: http.StatusOK} })
}

func (s *Sample) add(name, version string, serve func(call) reply) {
	s.services = append(s.services, &service{name: name, version: version, serve: serve, sample: s})
}

// proxy mirrors each request to the IDS and forwards it to the two versions
// of the balancer in turn, as the mesh's route does.
func (s *Sample) proxy() func(call) reply {
	var n atomic.Uint64
	return func(c call) reply {
		s.mirror(c)
		return c.forward(c.Context(), "http-lb", [...]string{"http-lb-v1", "http-lb-v2"}[n.Add(1)%2])
	}
}

// balancer forwards round robin.
func (s *Sample) balancer(servers ...string) func(call) reply {
	var n atomic.Uint64
	return func(c call) reply {
		to := servers[n.Add(1)%uint64(len(servers))]
		return c.forward(c.Context(), to, to)
	}
}

// serveContent answers as the path says: /slow is slow, /broken fails,
// /missing is not there, everything else has content.
func serveContent(c call) reply {
	switch path := c.URL.Path; {
	case strings.HasPrefix(path, "/slow"):
		pause(c.Context(), 40*time.Millisecond+jitter(path+c.Header.Get("x-request-id"), 60*time.Millisecond))
	case strings.HasPrefix(path, "/broken"):
		return reply{status: http.StatusServiceUnavailable, body: statusText(http.StatusServiceUnavailable)}
	case strings.HasPrefix(path, "/missing"):
		return reply{status: http.StatusNotFound, body: statusText(http.StatusNotFound)}
	default:
		pause(c.Context(), jitter(c.Header.Get("x-request-id"), 5*time.Millisecond))
	}
	if c.Method == http.MethodPost {
		return reply{status: http.StatusCreated, body: statusText(http.StatusCreated)}
	}
	return reply{status: http.StatusOK, body: bytes.Repeat([]byte("clover\n"), 16+len(c.URL.Path)*8)}
}

// jitter spreads durations over [0, limit) by the hash of a name.
func jitter(name string, limit time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return time.Duration(h.Sum64() % uint64(limit))
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// mirrored is a copy of a request on its way to the IDS.
type mirrored struct{ call call }

// mirror hands a copy to the workers. If they are behind, the copy is left
// out, as a proxy does: mirroring must not slow the request.
func (s *Sample) mirror(c call) {
	copied := c
	copied.Request = c.Clone(context.WithoutCancel(c.Context()))
	span := *c.span
	copied.span = &span
	s.mirrors.Add(1)
	select {
	case s.mirrorIn <- &mirrored{copied}:
	default:
		s.mirrors.Done()
		s.tally.leftOut()
	}
}

// sendMirrored sends copies until ctx ends, which is after the last was sent.
func (s *Sample) sendMirrored(ctx context.Context) {
	for {
		select {
		case m := <-s.mirrorIn:
			m.call.forward(m.call.Context(), "snort-ids", "snort-ids")
			s.mirrors.Done()
		case <-ctx.Done():
			return
		}
	}
}
