package master

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/jtl"
	"github.com/opnfv/clover/jmeter/report"
)

// Results returns a run with its numbers until now.
func (m *Master) Results(id string) (Run, *jmeter.Results, error) {
	m.mu.Lock()
	j, err := m.find(id)
	if err != nil {
		m.mu.Unlock()
		return Run{}, nil, err
	}
	run, record := j.view(), j.record
	m.mu.Unlock()
	if record != nil {
		results, err := record.copy()
		return run, results, err
	}
	var s snapshot
	err = readJSON(filepath.Join(m.runDir(run.ID), numbersFile), &s)
	if errors.Is(err, fs.ErrNotExist) || s.Results == nil {
		return run, &jmeter.Results{}, nil // it has not begun
	}
	return run, s.Results, err
}

// Report returns a run as package report writes it.
func (m *Master) Report(id string) (Run, *report.Report, error) {
	run, results, err := m.Results(id)
	if err != nil {
		return run, nil, err
	}
	r := &report.Report{
		Name: run.Plan, RunID: run.ID, Runner: run.Engine, Began: run.Began, Results: results, Notes: run.notes(),
	}
	if run.State.Over() {
		r.Verdicts, err = results.Judge(run.Criteria)
	}
	return run, r, err
}

// notes are what readers have to know besides the numbers.
func (r *Run) notes() []string {
	notes := append([]string{}, r.Notes...)
	if r.State != Finished {
		notes = append(notes, "the run is "+string(r.State))
	}
	if r.Problem != "" {
		notes = append(notes, r.Problem)
	}
	return notes
}

// maxLogBytes bounds the answer of Log: the last lines are those that count.
const maxLogBytes = 1 << 20

// Log returns the lines of JMeter's summariser: all requests up to a moment
// in each, the last one at the end of the run.
func (m *Master) Log(id string) (Run, string, error) {
	run, err := m.Get(id)
	if err != nil {
		return run, "", err
	}
	data, err := os.ReadFile(filepath.Join(m.runDir(run.ID), logFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return run, "", err
	}
	if n := len(data) - maxLogBytes; n > 0 {
		data = data[n+bytes.IndexByte(data[n:], '\n')+1:]
	}
	if !run.State.Over() { // the last line is not there yet
		_, results, err := m.Results(run.ID)
		if err != nil {
			return run, "", err
		}
		data = append(data, results.Summary().String()+"\n"...)
	}
	for _, n := range run.notes() {
		data = append(data, "! "+n+"\n"...)
	}
	return run, string(data), nil
}

// MaxDetailBytes is the most that Detail returns at once.
const MaxDetailBytes = 1 << 20

// Detail returns whole lines of a run's results in JMeter's CSV, from offset
// bytes on, without the names of the columns, which are jtl.Header. next is
// where more are; 0: this is all there is now.
func (m *Master) Detail(id string, offset int64) (run Run, lines string, next int64, err error) {
	m.mu.Lock()
	j, err := m.find(id)
	if err != nil {
		m.mu.Unlock()
		return Run{}, "", 0, err
	}
	run, record := j.view(), j.record
	m.mu.Unlock()
	if record != nil {
		if _, err := record.copy(); err != nil {
			return run, "", 0, err
		}
	}
	f, err := os.Open(filepath.Join(m.runDir(run.ID), detailFile))
	if errors.Is(err, fs.ErrNotExist) {
		return run, "", 0, nil
	}
	if err != nil {
		return run, "", 0, err
	}
	defer f.Close()
	lines, next, err = readLines(f, max(offset, int64(len(jtl.Header)+1)))
	return run, lines, next, err
}

// readLines reads whole lines from an offset on, at most MaxDetailBytes.
func readLines(f *os.File, offset int64) (lines string, next int64, err error) {
	buf := make([]byte, MaxDetailBytes)
	n, err := f.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", 0, err
	}
	end := bytes.LastIndexByte(buf[:n], '\n') + 1
	if end == 0 && n == len(buf) {
		return "", 0, fmt.Errorf("a line of more than %d bytes at %d", len(buf), offset)
	}
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	if offset += int64(end); end > 0 && offset < info.Size() {
		next = offset
	}
	return string(buf[:end]), next, nil
}
