package builtin

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opnfv/clover/jmeter"
)

// dataReader gives variables the values of a file's rows. It may be shared.
type dataReader struct {
	set   jmeter.DataSet
	mu    sync.Mutex
	f     *os.File
	in    *csv.Reader
	names []string
}

func openData(set jmeter.DataSet) (*dataReader, error) {
	f, err := os.Open(set.File)
	if err != nil {
		return nil, err
	}
	d := &dataReader{set: set, f: f}
	if err := d.begin(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", set.File, err)
	}
	return d, nil
}

func (d *dataReader) close() { d.f.Close() }

// begin reads from the start of the file.
func (d *dataReader) begin() error {
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	d.in = csv.NewReader(d.f)
	d.in.FieldsPerRecord, d.in.LazyQuotes, d.in.ReuseRecord = -1, true, true
	if d.set.Delimiter != "" {
		d.in.Comma = rune(d.set.Delimiter[0])
	}
	d.names = d.set.Variables
	if len(d.names) == 0 || d.set.SkipHeader {
		first, err := d.in.Read()
		if err != nil {
			return fmt.Errorf("no first line with the names of variables: %w", err)
		}
		if len(d.names) == 0 {
			d.names = append([]string{}, first...)
		}
	}
	return nil
}

// next sets the variables to the next row. The error is io.EOF if there is
// none.
func (d *dataReader) next(vars map[string]string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	row, err := d.in.Read()
	if errors.Is(err, io.EOF) && !d.set.Once {
		if err := d.begin(); err != nil {
			return err
		}
		row, err = d.in.Read()
	}
	if err != nil {
		return err
	}
	for i, name := range d.names {
		vars[name] = ""
		if i < len(row) {
			vars[name] = row[i]
		}
	}
	return nil
}

// open opens the data sets, so that one that is missing is known before the
// run begins.
func (r *run) open() error {
	for _, g := range r.program.groups {
		for i, set := range g.sets {
			d, err := openData(set)
			if err != nil {
				r.close()
				return fmt.Errorf("%s: data: %w", g.name, err)
			}
			if set.PerThread {
				d.close()
				continue
			}
			g.shared[i] = d
		}
	}
	return nil
}

func (r *run) close() {
	for _, g := range r.program.groups {
		for _, d := range g.shared {
			if d != nil {
				d.close()
			}
		}
	}
}
