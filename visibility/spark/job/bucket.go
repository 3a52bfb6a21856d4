package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/opnfv/clover/visibility"
)

// Bucket is a Parquet file of package visibility/parquet: the traces that
// began in an hour.
type Bucket struct {
	// Name is its path below the data, such as
	// "day=2026-11-26/spans-070000.parquet".
	Name string
	// Stamp changes when the file is replaced.
	Stamp string
}

// bucketName is what a bucket may be called: it becomes part of a statement.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9=_.-]+(/[A-Za-z0-9=_.-]+)*$`)

// Buckets lists the Parquet files below dir, by name. Files and folders whose
// names begin with a dot or an underscore are not looked at, as in Spark. Where
// there is no dir, nothing has been exported yet.
func Buckets(dir string) ([]Bucket, error) {
	var buckets []Bucket
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // or it has gone meanwhile, by its age
			return nil
		case err != nil:
			return err
		case name != "." && strings.ContainsAny(d.Name()[:1], "._"):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || path.Ext(name) != ".parquet":
			return nil
		case !bucketName.MatchString(name):
			return fmt.Errorf("%w: file %q: want letters, digits and =_.- only", visibility.ErrInvalid, name)
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		buckets = append(buckets, Bucket{Name: name, Stamp: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return buckets, nil
}

// changed returns the buckets that are not in the state as they are now, with
// all that is counted.
func changed(buckets []Bucket, s *State) []Bucket {
	return slices.DeleteFunc(slices.Clone(buckets), func(b Bucket) bool {
		c := s.Buckets[b.Name]
		return c.Stamp == b.Stamp && (c.Traces > 0 || c.Spans == 0)
	})
}
