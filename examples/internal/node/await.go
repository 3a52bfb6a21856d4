package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/opnfv/clover/visibility"
)

// awaitInterval is how often a store that does not answer is tried again.
const awaitInterval = 2 * time.Second

// Await is New for a process that may be there before its store is, as in a
// new install: for the time within it tries again while the store is
// unavailable.
func Await(ctx context.Context, opts Options, within time.Duration) (*Node, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	end := time.Now().Add(within)
	for {
		n, err := New(opts)
		if !errors.Is(err, visibility.ErrUnavailable) || time.Now().After(end) {
			return n, err
		}
		opts.Logger.Warn("waiting for the store", "error", err)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(awaitInterval):
		}
	}
}
