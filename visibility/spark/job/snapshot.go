package job

import (
	"os"
	"path/filepath"
)

// inputFolder, in that of the results, has the buckets that the job under way
// reads.
const inputFolder = "input"

// snapshot links the buckets to where nobody replaces them: a job looks at a
// file more than once, and fails, or reads less, if it is another by then.
// Where there are no links, as to another file system, the job reads the data
// themselves; a bucket that was replaced is read again by the next.
func (s *Submitter) snapshot(buckets []Bucket) (data string, release func()) {
	data = filepath.Join(s.o.Results, inputFolder)
	release = func() { _ = os.RemoveAll(data) }
	release() // what a submitter has left that was killed
	for _, b := range buckets {
		name := filepath.FromSlash(b.Name)
		link := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return s.o.Data, release
		}
		if err := os.Link(filepath.Join(s.o.Data, name), link); err != nil {
			return s.o.Data, release
		}
	}
	return data, release
}
