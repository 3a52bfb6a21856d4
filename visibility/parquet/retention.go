package parquet

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// drop lets the files go that are older than is to be kept. The manifest
// forgets them first, so that nobody looks for what is gone, and remembers
// their names until they are, so that a crash leaves none behind.
func (e *export) drop(ctx context.Context) error {
	if !e.cutoff.IsZero() && e.manifest.drop(e.cutoff) {
		// A full disk may not take the manifest before files are gone.
		if err := e.save(ctx); err != nil && !noRoom(err) {
			return err
		}
	}
	if len(e.manifest.Dropping) == 0 {
		return nil
	}
	for _, name := range e.manifest.Dropping {
		if err := e.folder.Remove(ctx, name); err != nil {
			return fmt.Errorf("remove %s by its age: %w", name, err)
		}
	}
	e.manifest.Dropping = nil
	return e.save(ctx)
}

// noRoom reports whether a disk is full.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
