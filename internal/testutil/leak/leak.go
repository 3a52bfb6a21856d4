// Package leak looks for goroutines that tests leave behind.
package leak

import (
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end after the last test: those
// of connections end when the other side does, which a busy machine does late.
// Tests that leave none do not wait.
const patience = time.Minute

// Main runs a package's tests and fails if a goroutine of theirs goes on. It
// is goleak's VerifyTestMain, which itself waits for half a second only.
func Main(m goleak.TestingM, options ...goleak.Option) {
	goleak.VerifyTestMain(patient{m, options}, options...)
}

type patient struct {
	goleak.TestingM
	options []goleak.Option
}

// Run implements goleak.TestingM.
func (p patient) Run() int {
	code := p.TestingM.Run()
	for end := time.Now().Add(patience); code == 0 && time.Now().Before(end); {
		if goleak.Find(p.options...) == nil { // it waits between its looks
			break
		}
	}
	return code
}
