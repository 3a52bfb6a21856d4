package plugin

import (
	"errors"
	"time"
)

// burst is how long a module may run at a stretch.
const burst = time.Second

// errResting says that a module has run for too long to be called now.
var errResting = errors.New("the plug-in has to rest")

// budget holds a module to its share of the time. A queue and a goroutine for
// each plug-in would free the reader of packets altogether, but the messages of
// a connection have to be in order with its other events, and a module that
// takes more time than there is would fill any queue: what does not fit is not
// parsed, here or there.
type budget struct {
	at      time.Time     // of the last look; zero: none is due
	owed    time.Duration // time used beyond the share
	resting bool
}

// mayRun reports whether a module may be called. It begins the call.
func (b *budget) mayRun(now time.Time, share float64) bool {
	if !b.at.IsZero() {
		b.owed = max(b.owed-time.Duration(float64(now.Sub(b.at))*share), 0)
	}
	b.at = now
	if b.owed == 0 {
		b.resting = false
	} else if b.owed > burst {
		b.resting = true
	}
	return !b.resting
}

// spend ends a call.
func (b *budget) spend(now func() time.Time) {
	if !b.at.IsZero() {
		b.owed += now().Sub(b.at)
	}
}

// mayRun reports whether a plug-in may be called. s.mu is held.
func (h *Host) mayRun(s *slot) bool {
	if _, ok := s.run.(*module); !ok || h.o.Share >= 1 {
		return true
	}
	rested := s.budget.resting
	if s.budget.mayRun(h.now(), h.o.Share/float64(max(h.modules.Load(), 1))) {
		return true
	}
	if !rested && s.passed == 0 {
		h.o.Logger.Warn("plugin: it takes too much time and has to rest now and then; what it should parse meanwhile counts as undecoded",
			"protocol", s.protocol, "path", s.path, "calls", s.calls)
	}
	return false
}
