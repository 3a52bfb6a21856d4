package components

import (
	"context"
	"fmt"
	"os"
	"time"
)

// lockPoll is how often a process looks again at a lock that another holds.
const lockPoll = 200 * time.Millisecond

// Lock takes the file of that path for this process, at once or not at all.
// The operating system gives it back when the process ends, however it ends.
// It reports whether it got it; unlock may be called once.
func Lock(path string) (unlock func(), ok bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, false, err
	}
	ok, err = tryLock(f)
	if err != nil || !ok {
		f.Close()
		return nil, false, err
	}
	return func() { f.Close() }, true, nil
}

// lock waits for the file until ctx ends; waiting is called once if it has
// to wait at all.
func lock(ctx context.Context, path string, waiting func()) (func(), error) {
	for told := false; ; told = true {
		unlock, ok, err := Lock(path)
		if err != nil || ok {
			return unlock, err
		}
		if !told {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}
