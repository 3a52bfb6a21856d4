package leak

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

type run func() int

// Run implements goleak.TestingM.
func (r run) Run() int { return r() }

// TestPatience holds that a goroutine that ends later than goleak waits by
// itself is waited for, and not after a failure.
func TestPatience(t *testing.T) {
	ended := make(chan struct{})
	code := patient{TestingM: run(func() int {
		go func() {
			time.Sleep(time.Second) // longer than goleak looks
			close(ended)
		}()
		return 0
	}), options: []goleak.Option{goleak.IgnoreCurrent()}}.Run()
	select {
	case <-ended:
	default:
		t.Error("a goroutine goes on")
	}
	if code != 0 {
		t.Errorf("code %d", code)
	}
	if code := (patient{TestingM: run(func() int { return 3 })}).Run(); code != 3 {
		t.Errorf("code %d of tests that fail", code)
	}
}

func TestMain(m *testing.M) { Main(m) }
