package session_test

import (
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// TestStrangeTimes has segments whose times are far from the others': they
// expire nothing, and time goes on after them.
func TestStrangeTimes(t *testing.T) {
	for _, year := range []time.Duration{365 * 24 * time.Hour, -365 * 24 * time.Hour} {
		var got []session.Session
		e := session.New(session.Options{Session: func(s *session.Session) { got = append(got, *s) }})
		waiting := open()
		waiting.Client(sessiontest.Get(1).Request())
		for i := range waiting.Segments {
			e.Segment(&waiting.Segments[i])
		}
		for i := range 100 {
			other := sessiontest.Open(sessiontest.Client(2+i, sessiontest.Server), sessiontest.Server)
			s := other.Segments[0]
			s.Time = waiting.Now
			if i%5 == 0 {
				s.Time = s.Time.Add(year)
			}
			e.Segment(&s)
		}
		if len(got) != 0 {
			t.Errorf("%v: %+v", year, got)
		}
		s := sessiontest.Open(sessiontest.Client(1000, sessiontest.Server), sessiontest.Server).Segments[0]
		for range 10 {
			waiting.Wait(time.Minute)
			s.Time = waiting.Now
			e.Segment(&s)
		}
		if len(got) != 1 || got[0].Outcome != session.NoResponseTimeout {
			t.Errorf("%v: time does not go on: %+v", year, got)
		}
	}
}

// TestGapInTime holds that hours without a segment are believed.
func TestGapInTime(t *testing.T) {
	c := open()
	c.Client(sessiontest.Get(1).Request())
	c.Wait(5 * time.Hour)
	later := sessiontest.Open(sessiontest.Client(2, sessiontest.Server), sessiontest.Server)
	for i := range later.Segments {
		later.Segments[i].Time = c.Now
	}
	exchange(later, 2)
	exchange(later, 3)
	exchange(later, 4)
	for i := range later.Segments {
		later.Segments[i].Time = c.Now.Add(time.Duration(i) * sessiontest.Step)
	}
	got, _ := sessiontest.Run(session.Options{}, append(c.Segments, later.Segments...))
	if len(got) != 4 {
		t.Fatalf("%+v", got)
	}
	timedOut := 0
	for _, s := range got {
		if s.Outcome == session.NoResponseTimeout {
			timedOut++
		}
	}
	if timedOut != 1 {
		t.Errorf("%+v", got)
	}
}

// TestClockSetBack holds that time goes on where a clock was set back.
func TestClockSetBack(t *testing.T) {
	var got []session.Session
	e := session.New(session.Options{Session: func(s *session.Session) { got = append(got, *s) }})
	c := open()
	c.Client(sessiontest.Get(1).Request())
	for i := range c.Segments {
		e.Segment(&c.Segments[i])
	}
	back := c.Now.Add(-24 * time.Hour)
	for range 7 {
		e.Tick(back)
		back = back.Add(time.Minute)
	}
	if len(got) != 1 || got[0].Outcome != session.NoResponseTimeout {
		t.Errorf("%+v", got)
	}
}

// TestEvictedFirst holds that of connections and UDP exchanges the one that
// has been idle longest has to go.
func TestEvictedFirst(t *testing.T) {
	var got []session.Session
	e := session.New(session.Options{MaxConnections: 2, Session: func(s *session.Session) { got = append(got, *s) }})
	idle := open()
	idle.Client(sessiontest.Get(1).Request())
	for i := range idle.Segments {
		e.Segment(&idle.Segments[i])
	}
	query := ask(1)
	query.Segments[0].Time = idle.Now.Add(time.Second)
	e.Segment(&query.Segments[0])
	another := sessiontest.Open(sessiontest.Client(2, sessiontest.Server), sessiontest.Server).Segments[0]
	another.Time = idle.Now.Add(2 * time.Second)
	e.Segment(&another)
	query.Segments[1].Time = another.Time
	e.Segment(&query.Segments[1])
	if len(got) != 2 || got[0].Outcome != session.Evicted || got[1].Outcome != session.Paired {
		t.Errorf("%+v", got)
	}
}
