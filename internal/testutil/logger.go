package testutil

import (
	"io"
	"log/slog"
	"sync"
	"testing"
)

// Logger returns a logger that writes every level into the test's own log.
// What goroutines log after the test's end is dropped.
func Logger(t testing.TB) *slog.Logger {
	w := &guardedWriter{to: t.Output()}
	t.Cleanup(w.close)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// guardedWriter writes until it is closed; a test's output must not be used
// after its end.
type guardedWriter struct {
	mu     sync.Mutex
	to     io.Writer
	closed bool
}

func (w *guardedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return len(p), nil
	}
	return w.to.Write(p)
}

func (w *guardedWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}
