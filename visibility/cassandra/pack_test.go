package cassandra

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility/internal/storekit"
)

// testPacked holds that packs are read where they are up to date, and only
// there, with those of two collectors in the same buckets.
func (c *cluster) testPacked(t *testing.T) {
	const hops = 10
	stores := c.several(t, "a", "b")
	at := everything.From.Add(time.Hour)
	n := 0
	write := func() {
		for range hops {
			writeUntil(t, stores[n%2], hop(n, at), func() {})
			n++
		}
	}
	pack := func() {
		for _, s := range stores {
			if err := s.pack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	pack()
	at = at.Add(-hops * time.Second) // into the same buckets
	write()
	c.wantTally(t, stores[0], n) // by rows
	pack()
	if err := stores[0].session.Query("TRUNCATE rollups").ExecContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range stores {
		c.wantTally(t, s, n) // by packs: there are no rows
	}
}

func TestPack(t *testing.T) {
	sums := map[uint64]cell{1 << 63: {value: []byte("last")}, 7: {value: []byte("first")}}
	pack := appendPack(nil, sums)
	var rows []uint64
	read := func(b []byte) error {
		return eachPacked(b, 300, func(r sumRow) error {
			if r.bucket != 300 || string(r.value) != string(sums[r.row].value) {
				t.Errorf("row %d: bucket %d, %q", r.row, r.bucket, r.value)
			}
			rows = append(rows, r.row)
			return nil
		})
	}
	if err := read(pack); err != nil || !slices.Equal(rows, []uint64{7, 1 << 63}) {
		t.Errorf("rows %v, %v", rows, err)
	}
	if err := read(pack[:len(pack)-1]); !errors.Is(err, storekit.ErrCorrupt) {
		t.Errorf("cut off: %v, want storekit.ErrCorrupt", err)
	}
}

func TestSignature(t *testing.T) {
	counts := map[int]version{0: 10, 1: 11, 3: 12}
	of := func(from, to int64) int64 {
		sig, _ := signature(counts, from, to)
		return sig
	}
	if _, ok := signature(counts, 2*slotSeconds, 3*slotSeconds); ok {
		t.Error("there is a signature where nothing is counted")
	}
	was, of1, of3 := of(0, 2*slotSeconds), of(slotSeconds, slotSeconds+10), of(3*slotSeconds, 4*slotSeconds)
	counts[1] = 13
	if of(0, 2*slotSeconds) == was || of(slotSeconds, slotSeconds+10) == of1 {
		t.Error("the signature does not change with a count")
	}
	if of(3*slotSeconds, 4*slotSeconds) != of3 {
		t.Error("the signature changes with another's count")
	}
}
