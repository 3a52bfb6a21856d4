package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// TestLongRequestsWeigh holds that what waits for a response counts with its
// texts.
func TestLongRequestsWeigh(t *testing.T) {
	const requests, target = 100, 8000
	c := open()
	for i := range requests {
		c.Client(fmt.Sprintf("GET /%d%s HTTP/1.1\r\nHost: a\r\n\r\n", i, strings.Repeat("x", target)))
	}
	e := session.New(session.Options{})
	for i := range c.Segments {
		e.Segment(&c.Segments[i])
	}
	if got := e.MemoryBytes(); got < requests*target {
		t.Errorf("%d bytes for %d requests of %d", got, requests, target)
	}
	e.Flush()
	if got := e.MemoryBytes(); got != 0 {
		t.Errorf("%d bytes at the end", got)
	}
	const most = 200 << 10
	evicted, _ := sessiontest.Run(session.Options{MaxMemoryBytes: most}, c.Segments)
	if len(evicted) == 0 || evicted[0].Outcome != session.Evicted {
		t.Errorf("more than %d bytes are kept", most)
	}
}
