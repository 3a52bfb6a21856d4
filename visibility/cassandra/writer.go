package cassandra

import (
	"context"
	"errors"
	"fmt"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/visibility"
)

// A version tells which commit of its writer a row belongs to: the writer's
// epoch, which begins when a process takes the name or has to give up a
// commit, and the number of the commit within it. 0 is none.
type version int64

func newVersion(epoch, seq int) version { return version(int64(epoch)<<32 | int64(seq)) }

func (v version) epoch() int { return int(v >> 32) }
func (v version) seq() int   { return int(v & (1<<32 - 1)) }

// writerState is a row of the table writers.
type writerState struct {
	owner  gocql.UUID // the process that has the name; zero: none
	epoch  int        // the newest
	epochs map[int]int
	// openFrom is the name of the first cell with waiting requests.
	openFrom string
}

// visible reports whether what has the version was committed.
func (w *writerState) visible(v version) bool {
	last, ok := w.epochs[v.epoch()]
	return ok && v != 0 && v.seq() <= last
}

// underway reports whether what has the version may still be committed.
func (w *writerState) underway(v version) bool {
	return w.owner != gocql.UUID{} && v.epoch() == w.epoch && v.seq() > w.epochs[w.epoch]
}

// snapshot is what each writer had committed at one moment.
type snapshot map[string]*writerState

func (s snapshot) visible(writer string, v version) bool {
	w := s[writer]
	return w != nil && w.visible(v)
}

const selectWriter = "SELECT name, owner, epoch, epochs, open_from FROM writers"

// writers reads the state of all writers.
func (s *Store) writers(ctx context.Context) (snapshot, error) {
	snap := snapshot{}
	iter := s.session.Query(selectWriter).IterContext(ctx)
	for {
		var name string
		w := &writerState{}
		if !iter.Scan(&name, &w.owner, &w.epoch, &w.epochs, &w.openFrom) {
			break
		}
		snap[name] = w
	}
	return snap, failure(ctx, iter.Close())
}

// readWriter reads the state of one writer as the last transaction left it.
func (s *Store) readWriter(ctx context.Context, name string) (*writerState, error) {
	w := &writerState{}
	err := s.session.Query(selectWriter+" WHERE name = ?", name).Consistency(gocql.LocalSerial).
		ScanContext(ctx, &name, &w.owner, &w.epoch, &w.epochs, &w.openFrom)
	if errors.Is(err, gocql.ErrNotFound) {
		return w, nil
	}
	return w, failure(ctx, err)
}

// acquire begins a new epoch of this process' writer and reads what it needs
// to go on from there. Whatever was under way in earlier epochs is void. Only
// when the store is opened may it take the name from another process.
func (s *Store) acquire(ctx context.Context, opening bool) error {
	for {
		was, err := s.readWriter(ctx, s.opts.Writer)
		if err != nil {
			return err
		}
		if !opening && was.owner != s.id && was.owner != (gocql.UUID{}) {
			return s.errTaken()
		}
		taken, err := s.take(ctx, was)
		if err != nil {
			return err
		}
		if !taken {
			continue
		}
		// A commit of the epoch before may have landed until now.
		own, err := s.readWriter(ctx, s.opts.Writer)
		if err != nil {
			return err
		}
		if own.owner == s.id && own.epoch == was.epoch+1 {
			return s.resume(ctx, *own)
		}
	}
}

func (s *Store) errTaken() error {
	return fmt.Errorf("%w: another process writes as %q: give each its own name", visibility.ErrLocked, s.opts.Writer)
}

// take begins the epoch after was, if nobody else has.
func (s *Store) take(ctx context.Context, was *writerState) (bool, error) {
	epoch := was.epoch + 1
	q := s.session.Query("INSERT INTO writers (name, owner, epoch, epochs, open_from) VALUES (?, ?, ?, ?, '') IF NOT EXISTS",
		s.opts.Writer, s.id, epoch, map[int]int{epoch: 0})
	if was.epoch > 0 {
		q = s.session.Query("UPDATE writers SET owner = ?, epoch = ?, epochs[?] = 0 WHERE name = ? IF owner = ? AND epoch = ?",
			s.id, epoch, epoch, s.opts.Writer, orNull(was.owner), was.epoch)
	}
	now := map[string]any{}
	applied, err := q.MapScanCASContext(ctx, now)
	if err != nil {
		return false, failure(ctx, err)
	}
	// A repetition by the driver finds what the first attempt has written.
	holder, _ := now["owner"].(gocql.UUID)
	return applied || holder == s.id && now["epoch"] == epoch, nil
}

// orNull is how CQL has an owner.
func orNull(owner gocql.UUID) any {
	if owner == (gocql.UUID{}) {
		return nil
	}
	return owner
}

// resume reads this writer's cells as they were committed.
func (s *Store) resume(ctx context.Context, own writerState) error {
	snap := snapshot{s.opts.Writer: &own}
	cells := map[cellKey]cell{}
	open := map[openID]openHop{}
	for _, kind := range []string{kindCount, kindLedger, kindOpen} {
		from := ""
		if kind == kindOpen {
			from = own.openFrom
		}
		err := s.readCells(ctx, snap, s.opts.Writer, kind, from, func(name string, c cell) error {
			cells[cellKey{kind, name}] = c
			if kind == kindOpen {
				return decodeOpen(c.value, open)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own, s.cells, s.open = own, cells, open
	return nil
}

// errFenced: the commit did not happen because this process has lost the
// name, by a Clear or because another collector had to go on without it.
var errFenced = errors.New("the writer's epoch was ended")

// commit makes everything of a version visible. On an error its fate is not
// known until the next acquire.
func (s *Store) commit(ctx context.Context, v version, openFrom string) error {
	now := map[string]any{}
	applied, err := s.session.Query("UPDATE writers SET epochs[?] = ?, open_from = ? WHERE name = ? IF owner = ? AND epoch = ?",
		v.epoch(), v.seq(), openFrom, s.opts.Writer, s.id, v.epoch()).MapScanCASContext(ctx, now)
	if err != nil {
		return failure(ctx, err)
	}
	if applied {
		return nil
	}
	if holder, _ := now["owner"].(gocql.UUID); holder != (gocql.UUID{}) && holder != s.id {
		return s.errTaken()
	}
	return errFenced
}

// fence ends what a writer has under way; it goes on in a new epoch.
func (s *Store) fence(ctx context.Context, name string, owner gocql.UUID, forget bool) error {
	cql := "UPDATE writers SET owner = null WHERE name = ? IF owner = ?"
	if forget {
		cql = "UPDATE writers SET owner = null, epochs = {} WHERE name = ? IF owner = ?"
	}
	_, err := s.session.Query(cql, name, orNull(owner)).MapScanCASContext(ctx, map[string]any{})
	return failure(ctx, err)
}
