package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/jtl"
)

// The files of a run.
const (
	stateFile   = "run.json"
	planFile    = "plan.json"
	planDir     = "files"
	detailFile  = "results.jtl"
	numbersFile = "numbers.json"
	logFile     = "summary.log"
)

// recorder keeps what a run measures: a line for each result on disk, and the
// numbers in memory and, from time to time, on disk too.
type recorder struct {
	dir   string
	limit int64 // bytes of detail

	mu       sync.Mutex
	results  *jmeter.Results
	live     jmeter.Progress
	detail   *os.File
	out      *jtl.Writer
	bytes    int64 // of detail
	left     int64 // results that detail has no room for
	log      *os.File
	rows     int
	lastRow  time.Duration // since the start
	lastSave time.Time
}

func newRecorder(dir string, limit int64) (*recorder, error) {
	r := &recorder{dir: dir, limit: limit, results: &jmeter.Results{}}
	var err error
	if r.detail, err = os.OpenFile(filepath.Join(dir, detailFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	if r.log, err = os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
		return nil, errors.Join(err, r.detail.Close())
	}
	counted := &countingWriter{r.detail, &r.bytes}
	if r.out, err = jtl.NewWriter(counted); err != nil {
		return nil, errors.Join(err, r.detail.Close(), r.log.Close())
	}
	return r, nil
}

type countingWriter struct {
	io.Writer
	n *int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	*w.n += int64(n)
	return n, err
}

// take keeps a result. It is the sink of a run.
func (r *recorder) take(x *jmeter.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results.Add(x)
	if r.bytes >= r.limit {
		r.left++
		return nil
	}
	return r.out.Write(x)
}

// How often numbers go to disk, and lines to the log. The lines get rarer in
// long runs.
const (
	saveEvery   = 5 * time.Second
	firstRows   = 6 * time.Second
	rowsAtEach  = 500
	recordEvery = time.Second
)

// progress takes what is known of a run from time to time.
func (r *recorder) progress(p jmeter.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = p
	every := firstRows << (r.rows / rowsAtEach)
	if p.Count > 0 && (p.Final || p.Time-r.lastRow >= every) {
		r.rows, r.lastRow = r.rows+1, p.Time
		fmt.Fprintln(r.log, p.Total.String()) // the numbers have it too
	}
	_ = r.out.Flush() // the next write fails as well, and is reported
	if !p.Final && time.Since(r.lastSave) >= saveEvery {
		r.lastSave = time.Now()
		_ = r.save() // again soon; detail has what is missing
	}
}

// snapshot is what numbersFile holds.
type snapshot struct {
	Results *jmeter.Results
	Bytes   int64 // of detail that are counted in it
	Left    int64 // results that detail had no room for
}

// save writes the numbers. mu is held, and detail is flushed.
func (r *recorder) save() error {
	return writeJSON(filepath.Join(r.dir, numbersFile), snapshot{r.results, r.bytes, r.left})
}

// now returns the numbers and the size of a run under way.
func (r *recorder) now() (Numbers, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := numbersOf(r.results)
	n.Rate, n.Threads = r.live.Rate, r.live.Threads
	return n, r.bytes
}

// copy returns the results until now.
func (r *recorder) copy() (*jmeter.Results, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &jmeter.Results{}
	out.Merge(r.results)
	return out, r.out.Flush()
}

// finish writes the final numbers and closes the files.
func (r *recorder) finish(final *jmeter.Results) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = final
	return errors.Join(r.out.Flush(), r.detail.Close(), r.log.Close(), r.save())
}

// restore returns what a folder holds of a run: the numbers as they were
// written last, and what detail has beyond. A line that is cut off is removed.
func restore(dir string) (*jmeter.Results, int64, error) {
	var s snapshot
	data, err := os.ReadFile(filepath.Join(dir, numbersFile))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) || s.Results == nil {
		s = snapshot{Results: &jmeter.Results{}} // detail has them
	}
	f, err := os.OpenFile(filepath.Join(dir, detailFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s.Results, 0, nil
	}
	if err != nil {
		return s.Results, 0, err
	}
	defer f.Close()
	size, err := cutLast(f)
	if err != nil || size <= s.Bytes {
		return s.Results, size, err
	}
	in, err := jtl.NewReader(io.NewSectionReader(f, s.Bytes, size-s.Bytes))
	if err != nil {
		return s.Results, size, err
	}
	for {
		var x jmeter.Sample
		if err := in.Read(&x); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return s.Results, size, err
		}
		s.Results.Add(&x)
	}
}

// cutLast removes a last line that has no end, and returns the size then.
func cutLast(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	tail := make([]byte, min(size, jtl.MaxRecordBytes))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return size, err
	}
	end := size - int64(len(tail)) + int64(strings.LastIndexByte(string(tail), '\n')+1)
	if end == size {
		return size, nil
	}
	return end, f.Truncate(end)
}
