package server

import (
	"strconv"
	"testing"
	"time"
)

// TestSessionsAreBounded begins one session more than are remembered.
func TestSessionsAreBounded(t *testing.T) {
	s := sessions{lifetime: time.Hour}
	first, _ := s.add("first")
	s.lifetime = 2 * time.Hour // the others end later
	var last string
	for i := range maxSessions {
		last, _ = s.add("token " + strconv.Itoa(i))
	}
	if len(s.tokens) != maxSessions {
		t.Errorf("%d sessions, want %d", len(s.tokens), maxSessions)
	}
	if token := s.token(first); token != "" {
		t.Errorf("the oldest is still there: %s", token)
	}
	if token := s.token(last); token != "token "+strconv.Itoa(maxSessions-1) {
		t.Errorf("the newest has %q", token)
	}
	s.end(last)
	if token := s.token(last); token != "" || s.token("nonsense") != "" {
		t.Errorf("ended, and there is %q", token)
	}
}
