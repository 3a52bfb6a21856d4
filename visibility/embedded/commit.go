package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
)

// slotSpans is the unit in which the queue of spans is bounded.
const slotSpans = 256

// maxGroupSpans ends the joining of batches into one commit.
const maxGroupSpans = 20_000

// request is one call that the committer carries out.
type request struct {
	batch   *visibility.Batch
	receipt visibility.Receipt
	command func(*committer) error // instead of a batch: runs alone
	slots   int
	done    chan<- result
}

type result struct {
	receipt visibility.Receipt
	err     error
}

// ack is a commit that waits for its fsync.
type ack struct {
	batch    *pebble.Batch
	requests []request
}

// Write implements visibility.Writer.
func (s *Store) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	slots := min(cap(s.slots), (len(b.Spans)+slotSpans-1)/slotSpans)
	for held := range slots {
		select {
		case s.slots <- struct{}{}:
		case <-s.quit:
			s.release(held)
			return visibility.Receipt{}, errClosed
		case <-ctx.Done():
			s.release(held)
			return visibility.Receipt{}, fmt.Errorf("write: queue is full: %w", ctx.Err())
		}
	}
	return s.submit(ctx, request{batch: b, slots: slots})
}

func (s *Store) release(slots int) {
	for range slots {
		<-s.slots
	}
}

// do runs a command on the committer, alone and durably.
func (s *Store) do(ctx context.Context, command func(*committer) error) error {
	_, err := s.submit(ctx, request{command: command})
	return err
}

func (s *Store) submit(ctx context.Context, r request) (visibility.Receipt, error) {
	done := make(chan result, 1)
	r.done = done
	select {
	case <-s.quit:
		s.release(r.slots)
		return visibility.Receipt{}, errClosed
	default:
	}
	select {
	case s.queue <- r:
	case <-s.quit:
		s.release(r.slots)
		return visibility.Receipt{}, errClosed
	case <-ctx.Done():
		s.release(r.slots)
		return visibility.Receipt{}, ctx.Err()
	}
	// Once queued the batch belongs to the committer, which always answers.
	select {
	case res := <-done:
		return res.receipt, res.err
	case <-s.stopped:
		select {
		case res := <-done:
			return res.receipt, res.err
		default:
			return visibility.Receipt{}, errClosed
		}
	}
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
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case r := <-c.queue:
			c.handle(r)
		case <-tick.C:
			c.background()
		case <-c.quit:
			c.drain()
			return
		}
	}
}

// drain carries out what was queued when the store was closed.
func (c *committer) drain() {
	for {
		select {
		case r := <-c.queue:
			c.handle(r)
		default:
			return
		}
	}
}

// handle commits a request together with the batches queued behind it.
func (c *committer) handle(first request) {
	if first.command != nil {
		first.done <- result{err: first.command(c)}
		return
	}
	group := []request{first}
	spans := len(first.batch.Spans)
	var next *request
	for spans < maxGroupSpans && next == nil {
		select {
		case r := <-c.queue:
			if r.command != nil {
				next = &r
				continue
			}
			group = append(group, r)
			spans += len(r.batch.Spans)
			continue
		default:
		}
		break
	}
	c.commitGroup(group)
	if next != nil {
		next.done <- result{err: next.command(c)}
	}
}

// commitGroup writes a group of batches in one Pebble batch.
func (c *committer) commitGroup(group []request) {
	b := c.db.NewBatch()
	err := c.addGroup(b, group)
	if err == nil {
		err = c.apply(b)
	}
	if err != nil {
		c.forget()
		_ = b.Close()
		for i := range group {
			c.answer(&group[i], fmt.Errorf("write: %w", err))
		}
		return
	}
	c.acks <- ack{batch: b, requests: group}
}

func (s *Store) answer(r *request, err error) {
	s.release(r.slots)
	r.done <- result{receipt: r.receipt, err: err}
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
	defer close(s.stopped)
	for a := range s.acks {
		err := a.batch.SyncWait()
		if err != nil {
			err = fmt.Errorf("write: sync: %w", err)
		}
		_ = a.batch.Close()
		for i := range a.requests {
			s.answer(&a.requests[i], err)
		}
	}
}
