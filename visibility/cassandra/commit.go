package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// maxGroupSpans ends the joining of batches into one commit.
const maxGroupSpans = 5_000

// groupTime is how long a commit may take before its writers are told to come
// again.
const groupTime = 30 * time.Second

// Write implements visibility.Writer.
func (s *Store) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	return s.queue.Write(ctx, b)
}

// do runs a command on the committer, alone.
func (s *Store) do(ctx context.Context, command func(context.Context, *committer) error) error {
	return s.queue.Do(ctx, func(ctx context.Context) error { return command(ctx, s.committer) })
}

// committer is the only one in this process that writes spans and sums.
type committer struct {
	*Store
	// stale: the epoch has to begin anew, because the fate of a commit is not
	// known or because it was ended.
	stale     bool
	lost      error // another process has the name: nothing can be written any more
	seq       int   // of the last commit in this epoch
	sums      *sumCache
	openCells map[string]map[openID]struct{} // open hops by cell
	// emptied are cells of open hops that were committed as empty.
	emptied []string
	g       gathering
	// unpacked are the buckets that may be without a pack, and when they were
	// last written to.
	unpacked map[bucketKey]time.Time
}

func newCommitter(s *Store) *committer {
	c := &committer{Store: s}
	c.restart()
	c.unpacked = c.unpackedOf(c.ownCounts())
	return c
}

// restart forgets what belonged to the epoch before.
func (c *committer) restart() {
	c.stale, c.seq, c.emptied = false, 0, nil
	c.sums = newSumCache()
	c.openCells = map[string]map[openID]struct{}{}
	for id, h := range c.open {
		c.noteOpen(id, h)
	}
}

func (c *committer) noteOpen(id openID, h openHop) {
	name := openCell(id, h)
	if c.openCells[name] == nil {
		c.openCells[name] = map[openID]struct{}{}
	}
	c.openCells[name][id] = struct{}{}
}

// housekeeping is how often settled hops are swept and retention is applied.
const housekeeping = 10 * time.Second

func (c *committer) run() {
	defer c.queue.Stopped()
	c.queue.Run(housekeeping, c.handle, c.background)
}

// handle commits a request together with the batches queued behind it.
func (c *committer) handle(first storekit.Request) {
	group, next := c.queue.Join(first, maxGroupSpans)
	if len(group) > 0 {
		err := c.attempt(func(ctx context.Context) error { return c.gather(ctx, group) })
		for i := range group {
			c.queue.Answer(&group[i], err)
		}
	}
	if next != nil {
		ctx, cancel := context.WithTimeout(context.Background(), groupTime)
		defer cancel()
		c.queue.Answer(next, next.Command(ctx))
	}
}

// attempt gathers and commits a change, again from the start if the epoch was
// ended meanwhile.
func (c *committer) attempt(gather func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), groupTime)
	defer cancel()
	for {
		err := c.once(ctx, gather)
		if errors.Is(err, visibility.ErrLocked) {
			c.lost = err
		}
		if !errors.Is(err, errFenced) && !errors.Is(err, errTorn) && !errors.Is(err, errOvertaken) {
			return unavailable(ctx, err)
		}
	}
}

// unavailable: that a commit took too long is no fault of who waits for it.
func unavailable(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: cassandra does not answer: %w", visibility.ErrUnavailable, err)
	}
	return failure(ctx, err)
}

func (c *committer) once(ctx context.Context, gather func(context.Context) error) error {
	if c.lost != nil {
		return c.lost
	}
	if err := c.renew(ctx); err != nil {
		return err
	}
	c.g.reset(newVersion(c.own.epoch, c.seq+1), c.opts.Clock())
	if err := gather(ctx); err != nil {
		return err // nothing was written
	}
	if c.g.empty() {
		return c.finish(ctx)
	}
	c.stale = true // until it is known that it was committed
	if err := c.writeRows(ctx); err != nil {
		return err
	}
	if err := c.checkClaims(ctx); err != nil {
		return err
	}
	// Readers that began before the last commit still want the values that
	// would be overwritten now.
	c.reading.Lock()
	c.reading.Unlock() //nolint:staticcheck // a barrier
	if err := c.writeSums(ctx); err != nil {
		return err
	}
	openFrom, err := c.writeCells(ctx)
	if err != nil {
		return err
	}
	if err := c.commit(ctx, c.g.version, openFrom); err != nil {
		return err
	}
	c.apply(openFrom)
	return c.finish(ctx)
}

// renew begins a new epoch if that is needed.
func (c *committer) renew(ctx context.Context) error {
	if !c.stale {
		return nil
	}
	if err := c.acquire(ctx, false); err != nil {
		return err
	}
	c.restart()
	return nil
}

// apply makes the commit visible to readers of this process.
func (c *committer) apply(openFrom string) {
	g := &c.g
	c.applySums()
	c.dict.persisted()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale, c.seq = false, g.version.seq()
	c.own.epochs[c.own.epoch] = c.seq
	c.own.openFrom = openFrom
	for id := range g.closed {
		h := c.open[id]
		name := openCell(id, h)
		if delete(c.openCells[name], id); len(c.openCells[name]) == 0 {
			delete(c.openCells, name)
		}
		delete(c.open, id)
	}
	for id, h := range g.opened {
		c.open[id] = h
		c.noteOpen(id, h)
	}
	c.emptied = c.emptied[:0]
	for k, value := range g.values {
		if k.kind == kindOpen && len(value) == 0 {
			c.emptied = append(c.emptied, k.name)
			delete(c.cells, k)
			continue
		}
		c.cells[k] = cell{version: g.version, value: value}
	}
}

// finish writes what may be said only when the spans are there.
func (c *committer) finish(ctx context.Context) error {
	return c.writeWatermarks(ctx)
}
