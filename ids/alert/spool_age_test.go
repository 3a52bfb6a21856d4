package alert

import (
	"strconv"
	"testing"
	"time"
)

// TestSpoolDropsOldAlertsOfItsLastFile holds that alerts for a sink that is
// away go when they are too old, also when none comes any more.
func TestSpoolDropsOldAlertsOfItsLastFile(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, dir, SpoolOptions{MaxAge: time.Hour})
	away, err := s.Reader("away")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := s.Append("eve", strconv.Itoa(n+1), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	age := func(d time.Duration) {
		s.mu.Lock()
		for i := range s.segments {
			s.segments[i].began, s.segments[i].last = s.segments[i].began.Add(-d), s.segments[i].last.Add(-d)
		}
		s.mu.Unlock()
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	age(5 * time.Minute)
	if st := s.Stats(); st.DroppedAge != 0 || len(s.segments) != 1 {
		t.Errorf("%+v, %d files", st, len(s.segments))
	}
	age(5 * time.Minute) // more than an eighth: what comes now is in another file
	if err := s.Append("eve", "4", numbered(3)); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.DroppedAge != 0 || len(s.segments) != 2 {
		t.Errorf("%+v, %d files", st, len(s.segments))
	}
	age(51 * time.Minute)
	if st := s.Stats(); st.DroppedAge != 3 {
		t.Errorf("%+v", st)
	}
	got, err := away.Next(t.Context(), 10)
	if err != nil || len(got) != 1 || away.Lost() != 3 {
		t.Errorf("%d alerts, %d lost, %v", len(got), away.Lost(), err)
	}
	age(2 * time.Hour)
	files := len(s.segments)
	age(2 * time.Hour)
	if st := s.Stats(); st.DroppedAge != 4 || st.Next != 4 || files != 1 || len(s.segments) != 1 {
		t.Errorf("%+v, %d and %d files; an empty one needs no other after it", st, files, len(s.segments))
	}
	s.Close()
	if s = openSpool(t, dir, SpoolOptions{}); s.Position("eve") != "4" {
		t.Error("the position went with the old")
	}
}
