package job

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSnapshot holds that a job reads files as they were when it began, though
// they are replaced or removed meanwhile, and that without links it reads them
// where they are.
func TestSnapshot(t *testing.T) {
	data, results := t.TempDir(), t.TempDir()
	s := newSubmitter(t, Options{Data: data, Results: results, Runner: &fake{}})
	put(t, data, "day=1/a.parquet", 3)
	put(t, data, "day=2/b.parquet", 4)
	buckets := []Bucket{{Name: "day=1/a.parquet"}, {Name: "day=2/b.parquet"}}
	from, release := s.snapshot(buckets)
	put(t, data, "day=1/a.parquet", 50)
	if err := os.Remove(filepath.Join(data, "day=2/b.parquet")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"day=1/a.parquet": 3, "day=2/b.parquet": 4} {
		if info, err := os.Stat(filepath.Join(from, name)); err != nil || info.Size() != want {
			t.Errorf("%s: %v, %v; want %d bytes", name, info, err, want)
		}
	}
	release()
	if _, err := os.Stat(from); !os.IsNotExist(err) {
		t.Errorf("the links stay: %v", err)
	}
	from, release = s.snapshot([]Bucket{{Name: "day=2/b.parquet"}}) // it has no file
	defer release()
	if from != s.o.Data {
		t.Errorf("read from %s, want %s", from, s.o.Data)
	}
}
