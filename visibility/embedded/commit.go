package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// maxGroupSpans ends the joining of batches into one commit.
const maxGroupSpans = 20_000

// ack is a commit that waits for its fsync.
type ack struct {
	batch    *pebble.Batch
	requests []storekit.Request
}

// Write implements visibility.Writer.
func (s *Store) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	return s.queue.Write(ctx, b)
}

// do runs a command on the committer, alone and durably.
func (s *Store) do(ctx context.Context, command func(*committer) error) error {
	return s.queue.Do(ctx, func(context.Context) error { return command(s.committer) })
}

// committer is the only writer of the database.
type committer struct {
	*Store
	enc encoder
	// open changes of the commit at hand, applied with it
	opened map[openID]openHop
	closed map[openID]struct{}
	// rollups of the commit at hand, by 10 s bucket and row
	sums map[sumKey]*visibility.Aggregate
	buf  []byte
	tr   traceScratch
}

func newCommitter(s *Store) *committer {
	return &committer{
		Store:  s,
		enc:    encoder{dict: s.dict, vary: variety{}},
		opened: map[openID]openHop{},
		closed: map[openID]struct{}{},
		sums:   map[sumKey]*visibility.Aggregate{},
	}
}

// housekeeping is how often settled hops are swept and retention is applied.
const housekeeping = 10 * time.Second

func (c *committer) run() {
	defer close(c.acks)
	c.queue.Run(housekeeping, c.handle, c.background)
}

// handle commits a request together with the batches queued behind it.
func (c *committer) handle(first storekit.Request) {
	group, next := c.queue.Join(first, maxGroupSpans)
	if len(group) > 0 {
		c.commitGroup(group)
	}
	if next != nil {
		c.queue.Answer(next, next.Command(backgroundContext))
	}
}

// commitGroup writes a group of batches in one Pebble batch.
func (c *committer) commitGroup(group []storekit.Request) {
	b := c.db.NewBatch()
	err := c.addGroup(b, group)
	if err == nil {
		err = c.apply(b)
	}
	if err != nil {
		c.forget()
		_ = b.Close()
		for i := range group {
			c.queue.Answer(&group[i], err)
		}
		return
	}
	c.acks <- ack{batch: b, requests: group}
}

// apply adds the rollups, open hops and dictionary entries gathered so far
// to b and makes all of it visible at once. It does not wait for the disk.
func (c *committer) apply(b *pebble.Batch) error {
	if err := c.writeSums(b); err != nil {
		return err
	}
	if err := c.writeOpen(b); err != nil {
		return err
	}
	if err := c.dict.persist(b); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return err
	}
	for id := range c.closed {
		delete(c.open, id)
	}
	for id, h := range c.opened {
		c.open[id] = h
	}
	c.dict.persisted()
	c.forget()
	return nil
}

// applySync is apply for commands: it returns when b is on disk.
func (c *committer) applySync(b *pebble.Batch) error {
	if err := c.apply(b); err != nil {
		c.forget()
		return err
	}
	return b.SyncWait()
}

// forget drops what was gathered for a commit.
func (c *committer) forget() {
	clear(c.opened)
	clear(c.closed)
	clear(c.sums)
}

// openState returns an open hop as the commit at hand sees it.
func (c *committer) openState(id openID) (openHop, bool) {
	if _, gone := c.closed[id]; gone {
		return openHop{}, false
	}
	if h, ok := c.opened[id]; ok {
		return h, true
	}
	h, ok := c.open[id]
	return h, ok
}

func (c *committer) setOpen(id openID, h openHop) {
	delete(c.closed, id)
	c.opened[id] = h
}

func (c *committer) setClosed(id openID) {
	delete(c.opened, id)
	if _, ok := c.open[id]; ok {
		c.closed[id] = struct{}{}
	}
}

func (c *committer) writeOpen(b *pebble.Batch) error {
	for id := range c.closed {
		if err := b.Delete(id.key(), nil); err != nil {
			return err
		}
	}
	for id, h := range c.opened {
		if err := b.Set(id.key(), h.encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge waits for the fsync of each commit and answers its writers, so
// that the committer can work on the next one meanwhile.
func (s *Store) acknowledge() {
	defer s.queue.Stopped()
	for a := range s.acks {
		err := a.batch.SyncWait()
		if err != nil {
			err = fmt.Errorf("sync: %w", err)
		}
		_ = a.batch.Close()
		for i := range a.requests {
			s.queue.Answer(&a.requests[i], err)
		}
	}
}
