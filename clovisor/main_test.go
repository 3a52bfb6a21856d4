package clovisor

import (
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) {
	linger = 100 * time.Millisecond // each case of the corpus waits for it
	leak.Main(m)
}
