package server

import (
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

func TestLagIsUnsetUntilASourceWasRead(t *testing.T) {
	if s := toSourceStatus(&visibility.SourceStatus{Error: "refused"}); s.GetLag() != nil {
		t.Errorf("never read: lag %v", s.GetLag())
	}
	read := visibility.SourceStatus{LastSuccess: time.Now(), Lag: time.Second}
	if s := toSourceStatus(&read); s.GetLag().AsDuration() != time.Second {
		t.Errorf("read: lag %v, want 1s", s.GetLag())
	}
}
