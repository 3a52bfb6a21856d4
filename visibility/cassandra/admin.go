package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// loadMeta reads what was decided when the keyspace was made, and what
// retention has dropped.
func (s *Store) loadMeta(ctx context.Context) error {
	var shards, floor int64
	err := s.session.Query("SELECT value FROM meta WHERE name = 'shards'").ScanContext(ctx, &shards)
	if err != nil {
		return failure(ctx, err)
	}
	err = s.session.Query("SELECT value FROM meta WHERE name = 'floor'").ScanContext(ctx, &floor)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return failure(ctx, err)
	}
	s.shards = int(shards)
	if floor > 0 {
		s.floor = time.Unix(floor, 0).UTC()
	}
	return nil
}

// stateName keeps the key from being empty.
func stateName(name string) string { return "=" + keyName(name) }

// State implements visibility.StateStore.
func (s *Store) State(ctx context.Context, name string) ([]byte, error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var value []byte
	err = s.session.Query("SELECT value FROM state WHERE name = ?", stateName(name)).ScanContext(ctx, &value)
	if errors.Is(err, gocql.ErrNotFound) {
		return nil, fmt.Errorf("state %q: %w", name, visibility.ErrNotFound)
	}
	return value, failure(ctx, err)
}

// SetState implements visibility.StateStore.
func (s *Store) SetState(ctx context.Context, name string, value []byte) error {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return err
	}
	defer end()
	q := s.session.Query("INSERT INTO state (name, value) VALUES (?, ?)", stateName(name), value)
	if value == nil {
		q = s.session.Query("DELETE FROM state WHERE name = ?", stateName(name))
	}
	return failure(ctx, q.ExecContext(ctx))
}

// cleared are the tables that Clear empties.
var cleared = []string{"cells", "rollup_rows", "rollups", "packs", "spans", "traces", "trace_index", "series", "metrics"}

// Clear implements visibility.Admin. Writers elsewhere are made to begin
// again, before and after: whatever they commit meanwhile is cleared too.
func (s *Store) Clear(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context, c *committer) error {
		if c.lost != nil {
			return c.lost
		}
		c.reading.Lock()
		defer c.reading.Unlock()
		c.stale = true
		if err := c.forgetAll(ctx); err != nil {
			return err
		}
		err := each(ctx, len(cleared), len(cleared), func(ctx context.Context, i int) error {
			return s.session.Query("TRUNCATE " + cleared[i]).ExecContext(ctx)
		})
		if err != nil {
			return failure(ctx, err)
		}
		if err := c.forgetAll(ctx); err != nil {
			return err
		}
		c.dict.reset()
		return c.renew(ctx)
	})
}

// forgetAll voids what all writers have committed and have under way.
func (c *committer) forgetAll(ctx context.Context) error {
	all, err := c.writers(ctx)
	if err != nil {
		return err
	}
	for name := range all {
		for {
			now, err := c.readWriter(ctx, name)
			if err != nil {
				return err
			}
			if len(now.epochs) == 0 {
				break
			}
			if err := c.fence(ctx, name, now.owner, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stats implements visibility.Admin.
func (s *Store) Stats(ctx context.Context) (visibility.StoreStats, error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return visibility.StoreStats{}, err
	}
	defer end()
	for {
		st, err := s.stats(ctx)
		if !errors.Is(err, errTorn) || ctx.Err() != nil {
			return st, failure(ctx, err)
		}
	}
}

func (s *Store) stats(ctx context.Context) (visibility.StoreStats, error) {
	st := visibility.StoreStats{Name: "cassandra", Rows: int64(s.dict.size())}
	v, err := s.view(ctx, visibility.Range{}, kindCount)
	if err != nil {
		return st, err
	}
	err = s.eachCell(ctx, v, kindCount, func(_, name string, c cell) error {
		if slotStart(slotNumber(name)).Before(v.floor) {
			return nil
		}
		n := storekit.Counters{}
		if err := n.Merge(c.value); err != nil {
			return err
		}
		st.Spans += n["spans"]
		st.Sessions += n["sessions"]
		st.Traces += n["traces"]
		if n["spans"] > 0 {
			first, last := time.Unix(-n["^first"], 0).UTC(), time.Unix(n["^last"], 0).UTC()
			if st.Oldest.IsZero() || first.Before(st.Oldest) {
				st.Oldest = first
			}
			st.Newest = later(st.Newest, last)
		}
		return nil
	})
	if err != nil {
		return st, err
	}
	if st.Metrics, err = s.countMetrics(ctx, v); err != nil {
		return st, err
	}
	st.BytesOnDisk, err = s.bytesOnDisk(ctx)
	return st, err
}

// bytesOnDisk asks one node how much it holds. Those that cannot tell say 0.
func (s *Store) bytesOnDisk(ctx context.Context) (int64, error) {
	iter := s.session.Query("SELECT keyspace_name, mebibytes FROM system_views.disk_usage").Consistency(gocql.One).IterContext(ctx)
	var keyspace string
	var mebibytes, sum int64
	for iter.Scan(&keyspace, &mebibytes) {
		if keyspace == s.opts.Keyspace {
			sum += mebibytes << 20
		}
	}
	err := iter.Close()
	var answer gocql.RequestError
	if errors.As(err, &answer) {
		return 0, nil
	}
	return sum, err
}
