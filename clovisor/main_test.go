package clovisor

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	linger = 100 * time.Millisecond // each case of the corpus waits for it
	goleak.VerifyTestMain(m)
}
