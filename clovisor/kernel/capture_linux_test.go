package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/internal/testutil"
)

var names atomic.Int64

func uniqueName() string { return fmt.Sprintf("test-%d-%d", os.Getpid(), names.Add(1)) }

// start makes a capture, which ends with the test.
func start(t testing.TB, o Options) *running {
	t.Helper()
	if o.Name == "" {
		o.Name = uniqueName()
	}
	c, err := New(o)
	if errors.Is(err, unix.EPERM) {
		testutil.Missing(t, "programs in the kernel", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Capture: c, t: t, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.done <- c.Run(ctx, r.collect) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.end)
	return r
}

// running is a capture and what it saw.
type running struct {
	*Capture
	t    testing.TB
	done chan error
	end  func()

	discard atomic.Bool // what is seen from now on

	mu       sync.Mutex
	segments []packet.Segment
}

func (r *running) collect(s *packet.Segment) {
	if r.discard.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	copied := *s
	copied.Payload = bytes.Clone(s.Payload)
	r.segments = append(r.segments, copied)
}

func (r *running) seen() []packet.Segment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]packet.Segment(nil), r.segments...)
}

// delivered waits until so many segments were. The kernel looks at a packet when
// it has time for it, which may be after the call that sends it.
func (r *running) delivered(n int) {
	r.t.Helper()
	testutil.Eventually(r.t, 10*time.Second, func() (bool, string) {
		seen := r.seen()
		return len(seen) >= n, fmt.Sprintf("%d segments, want %d: %+v", len(seen), n, seen)
	})
}

// stream is the payload that went one way, put together as a receiver does
// it, connection by connection; "?" stands for bytes that were not seen.
func stream(segments []packet.Segment, way packet.Direction) string {
	type connection struct {
		first uint32
		bytes []byte
	}
	var order []packet.Flow
	connections := map[packet.Flow]*connection{}
	for _, s := range segments {
		if s.Direction != way {
			continue
		}
		c, ok := connections[s.Flow]
		if !ok {
			c = &connection{first: s.Seq}
			if s.Flags&packet.SYN != 0 {
				c.first++
			}
			connections[s.Flow], order = c, append(order, s.Flow)
		}
		at := int(int32(s.Seq - c.first))
		if s.Length == 0 || at < 0 {
			continue
		}
		if missing := at + s.Length - len(c.bytes); missing > 0 {
			c.bytes = append(c.bytes, bytes.Repeat([]byte("?"), missing)...)
		}
		copy(c.bytes[at:], s.Payload)
	}
	var b strings.Builder
	for _, flow := range order {
		b.Write(connections[flow].bytes)
	}
	return b.String()
}

// attach attaches the target or ends the test.
func (r *running) attach(t Target) {
	r.t.Helper()
	if err := r.Attach(t); err != nil {
		r.t.Fatal(err)
	}
}

// serve answers each request in the namespace with body, on the port.
func serve(t testing.TB, ns *testutil.NetNamespace, port int, body string) (url string) {
	t.Helper()
	l := ns.Listen(port)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body)
	}), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}

// get makes one request on a connection of its own.
func get(t testing.TB, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestHTTPOnVeth(t *testing.T) {
	for _, c := range []struct {
		side   string
		hook   Hook
		buffer Buffer
	}{
		{"host", TCX, Ring}, {"pod", TCX, Ring}, {"host", Clsact, Ring}, {"pod", Clsact, Perf}, {"host", TCX, Perf},
	} {
		side, o := c.side, Options{Hook: c.hook, Buffer: c.buffer}
		t.Run(fmt.Sprintf("%s %s %s", side, o.Hook, o.Buffer), func(t *testing.T) {
			ns := testutil.Namespace(t)
			url := serve(t, ns, 8080, "the answer")
			c := start(t, o)
			target := Target{ID: 42, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}}
			if side == "pod" {
				target.Interface, target.HostSide, target.NetNS = ns.Interface, false, "/run/netns/"+ns.Name
			}
			c.attach(target)
			before := time.Now()
			get(t, url+"/some/path")
			testutil.Eventually(t, 10*time.Second, func() (bool, string) {
				out := stream(c.seen(), packet.Egress)
				return strings.Contains(out, "the answer"), out
			})
			segments := c.seen()
			if in := stream(segments, packet.Ingress); !strings.HasPrefix(in, "GET /some/path HTTP/1.1\r\n") {
				t.Errorf("to the workload went %q", in)
			}
			first := segments[0]
			if first.Flags&packet.SYN == 0 || first.Destination.String() != strings.TrimPrefix(url, "http://") ||
				first.Interface != 42 || first.Transport != packet.TCP || first.Direction != packet.Ingress {
				t.Errorf("first segment is %+v", first)
			}
			for _, s := range segments {
				if s.Time.Before(before.Add(-time.Second)) || s.Time.After(time.Now().Add(time.Second)) {
					t.Errorf("time is %s, not about %s", s.Time, before)
				}
			}
			stats, err := c.Stats()
			if n := stats.Targets[42]; err != nil || n.Matched < uint64(len(segments)) || n.Packets < n.Matched || n.Lost != 0 {
				t.Errorf("stats are %+v, %v", stats, err)
			}
		})
	}
}
