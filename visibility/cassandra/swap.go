package cassandra

import (
	"context"

	"github.com/opnfv/clover/visibility"
)

var _ visibility.StateSwapper = (*Store)(nil)

// swapState is true of no row ("= null"), too: a row is there if it has a
// value.
const (
	swapState   = "UPDATE state SET value = ? WHERE name = ? IF value = ?"
	removeState = "DELETE FROM state WHERE name = ? IF value = ?"
)

// SwapState implements visibility.StateSwapper by a lightweight transaction.
// A name lies in the same table as those of SetState, which never gets one
// that SwapState has: Cassandra does not order the two kinds of writes.
//
// The driver must not repeat it: the second attempt would find what the first
// has written, and say that nothing was changed. Therefore a process does one
// at a time: those of a row that meet end in a timeout soon.
func (s *Store) SwapState(ctx context.Context, name string, old, value []byte) (swapped bool, err error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	s.swapping.Lock()
	defer s.swapping.Unlock()
	q := s.session.Query(swapState, value, stateName(name), old)
	if value == nil {
		q = s.session.Query(removeState, stateName(name), old)
	}
	swapped, err = q.Idempotent(false).MapScanCASContext(ctx, map[string]any{})
	return swapped && err == nil, failure(ctx, err)
}
