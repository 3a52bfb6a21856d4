package agents

import "sync"

// inParallel calls f for 0 to n-1 at once and waits for all.
func inParallel(n int, f func(i int)) {
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() { f(i) })
	}
	calls.Wait()
}
