package testutil

import (
	"testing"
)

func TestRedisRestartsOnItsPort(t *testing.T) {
	s := Redis(t)
	addr := s.Addr
	s.Restart()
	if s.Addr != addr {
		t.Errorf("the address is %s, was %s", s.Addr, addr)
	}
	if err := s.ping(t.Context()); err != nil {
		t.Error(err)
	}
	s.Stop()
	if err := s.ping(t.Context()); err == nil {
		t.Error("it answers after Stop")
	}
}
