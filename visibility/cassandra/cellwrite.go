package cassandra

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/opnfv/clover/visibility/internal/storekit"
)

// writeCells writes the new values of counts, ledger and open hops, and
// returns the first cell that will have open hops.
func (c *committer) writeCells(ctx context.Context) (openFrom string, err error) {
	g := &c.g
	for slot, delta := range g.counts {
		if err := c.addCounters(cellKey{kindCount, strconv.Itoa(slot)}, nil, delta); err != nil {
			return "", err
		}
	}
	for at, delta := range g.ledgers {
		head := storekit.AppendString(storekit.AppendString(nil, at.Source), at.Service)
		if err := c.addCounters(cellKey{kindLedger, ledgerName(at)}, head, delta); err != nil {
			return "", err
		}
	}
	openFrom = c.addOpen()
	byKind := map[string][]statement{}
	for k, value := range g.values {
		was := c.cells[k]
		byKind[k.kind] = append(byKind[k.kind], statement{cql: insertCell, size: len(value) + len(was.value) + 100, args: []any{
			c.opts.Writer, k.kind, k.name, int64(g.version), value, int64(was.version), orUnset(was.value),
		}})
	}
	for _, name := range c.emptied {
		if _, again := g.values[cellKey{kindOpen, name}]; !again {
			byKind[kindOpen] = append(byKind[kindOpen], statement{
				cql: "DELETE FROM cells WHERE writer = ? AND kind = ? AND name = ?", args: []any{c.opts.Writer, kindOpen, name}, size: 50,
			})
		}
	}
	lists := make([][]statement, 0, len(byKind))
	for _, list := range byKind {
		lists = append(lists, list)
	}
	return openFrom, c.writeBatches(ctx, lists)
}

// addCounters adds delta to a cell, which has its counters behind head.
func (c *committer) addCounters(k cellKey, head []byte, delta storekit.Counters) error {
	sum := storekit.Counters{}
	if was := c.cells[k].value; len(was) > 0 {
		if err := sum.Merge(was[len(head):]); err != nil {
			return err
		}
	}
	for name, n := range delta {
		sum.Add(name, n)
	}
	c.g.values[k] = sum.Append(head)
	return nil
}

// addOpen adds the cells whose open hops change, and returns the first cell
// that has any afterwards.
func (c *committer) addOpen() (first string) {
	g := &c.g
	touched := map[string]map[openID]openHop{}
	touch := func(name string) map[openID]openHop {
		if touched[name] == nil {
			touched[name] = map[openID]openHop{}
			for id := range c.openCells[name] {
				touched[name][id] = c.open[id]
			}
		}
		return touched[name]
	}
	for id := range g.closed {
		if h, ok := c.open[id]; ok {
			delete(touch(openCell(id, h)), id)
		}
	}
	for id, h := range g.opened {
		touch(openCell(id, h))[id] = h
	}
	for name, hops := range touched {
		value := []byte{}
		for id, h := range hops {
			value = h.append(id.append(value))
		}
		g.values[cellKey{kindOpen, name}] = value
		if len(hops) > 0 && (first == "" || name < first) {
			first = name
		}
	}
	for name := range c.openCells {
		if _, ok := touched[name]; !ok && (first == "" || name < first) {
			first = name
		}
	}
	if first == "" {
		first = "~" // after all names
	}
	return first
}

// ledgerName is the name of an account's cell.
func ledgerName(at storekit.Account) string {
	sum := sha256.Sum256(storekit.AppendString(storekit.AppendString(nil, at.Source), at.Service))
	return hex.EncodeToString(sum[:16])
}

// background does what is due every housekeeping interval. Its errors are
// logged: there is nobody else to tell, and the next run tries again.
func (c *committer) background() {
	now := c.opts.Clock()
	if err := c.settle(now.Add(-c.opts.SettleAfter)); err != nil {
		c.opts.Logger.Error("store: settle open requests", "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupTime)
	defer cancel()
	if err := c.retain(ctx, now); err != nil {
		c.opts.Logger.Error("store: apply retention", "err", err)
	}
	began := time.Now()
	if err := c.pack(ctx, began.Add(-packAfter), began.Add(packTime)); err != nil {
		c.opts.Logger.Warn("store: pack sums", "err", err)
	}
}

// Settle counts every request that waits for its other side as it stands. A
// side that comes afterwards still corrects the counts.
func (s *Store) Settle(ctx context.Context) error {
	return s.do(ctx, func(_ context.Context, c *committer) error { return c.settle(time.Unix(1<<40, 0)) })
}

// Retain applies the retention now instead of at the next interval.
func (s *Store) Retain(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context, c *committer) error { return c.retain(ctx, c.opts.Clock()) })
}

// retain moves the time before which everything is gone. Cassandra drops the
// rows when their time to live is over; readers do not see them from now on.
func (c *committer) retain(ctx context.Context, now time.Time) error {
	if c.opts.Retention < 0 {
		return nil
	}
	floor := now.Add(-c.opts.Retention).Truncate(time.Hour).UTC()
	if !floor.After(c.floor) {
		return nil
	}
	if err := c.session.Query("INSERT INTO meta (name, value) VALUES ('floor', ?)", floor.Unix()).ExecContext(ctx); err != nil {
		return failure(ctx, err)
	}
	c.dict.expire(dayOf(floor))
	due := map[openID]openHop{}
	for id, h := range c.open {
		if h.start.Before(floor) {
			due[id] = h
		}
	}
	if len(due) > 0 { // they are not waited for any more
		err := c.attempt(func(context.Context) error {
			for id := range due {
				c.g.closed[id] = struct{}{}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = floor
	for k := range c.cells {
		if k.kind == kindCount && slotStart(slotNumber(k.name)).Before(floor) {
			delete(c.cells, k)
		}
	}
	c.opts.Logger.Info("store: dropped old data", "before", floor)
	return nil
}
