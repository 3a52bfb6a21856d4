package job

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestWhateverHappens has files come, be replaced and go, also while a job
// reads, and jobs fail, at random. What a job has ended well with is counted
// once; what is gone is not; a last job counts exactly what is there.
func TestWhateverHappens(t *testing.T) {
	for seed := range uint64(5) {
		whatHappens(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func whatHappens(t *testing.T, r *rand.Rand) {
	t.Helper()
	data, results := t.TempDir(), t.TempDir()
	there := map[string]int64{} // spans of the files
	change := func() {
		name := fmt.Sprintf("day=%d/%d.parquet", r.IntN(2), r.IntN(4))
		if r.IntN(3) == 0 { // gone by its age
			if err := os.Remove(filepath.Join(data, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			delete(there, name)
			return
		}
		spans := 1 + r.IntN(100)
		put(t, data, name, spans)
		there[name] = int64(spans)
	}
	total := func() (n int64) {
		for _, spans := range there {
			n += spans
		}
		return n
	}
	spark := &fake{}
	s := newSubmitter(t, Options{Data: data, Results: results, Runner: spark})
	for range 30 {
		for range r.IntN(3) {
			change()
		}
		before, moved := counted(t, results), false
		spark.fault, spark.before = nil, nil
		switch r.IntN(4) {
		case 0:
			spark.fault = func(Task) error { return errors.New("killed") }
		case 1:
			spark.before, moved = change, true
		}
		kind := Fast
		if r.IntN(4) == 0 {
			kind = Full
		}
		_, err := s.RunOnce(t.Context(), kind)
		after := counted(t, results)
		switch {
		case err != nil && after > before:
			t.Errorf("a job that failed has counted: %d, then %d", before, after)
		case err == nil && !moved && after != total():
			t.Errorf("%d are counted of %d", after, total())
		}
	}
	spark.fault, spark.before = nil, nil
	if _, err := s.RunOnce(t.Context(), Fast); err != nil || counted(t, results) != total() {
		t.Errorf("in the end %d are counted of %d, %v", counted(t, results), total(), err)
	}
}
