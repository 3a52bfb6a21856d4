package job

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/visibility"
)

// TestReporter holds what is told of jobs that end well and fail.
func TestReporter(t *testing.T) {
	data, results := t.TempDir(), t.TempDir()
	spark := &fake{}
	s := newSubmitter(t, Options{Data: data, Results: results, Runner: spark})
	r := NewReporter(results)
	if st := r.Status(); st.State != visibility.StateStarting || st.Kind != visibility.KindJobs || st.Target != results {
		t.Errorf("before the first run: %+v", st)
	}
	put(t, data, "day=1/a.parquet", 3)
	boom := func(Task) error { return errors.New("boom\nbang") }
	for _, step := range []struct {
		kind   Kind
		fault  func(Task) error
		state  visibility.SourceState
		says   string
		detail string
	}{
		{Full, nil, visibility.StateOK, "", "clover-spark ok at "},
		{Full, boom, visibility.StateBackingOff, "failed, attempt 1: boom; bang", "clover-spark failed at "},
		{Full, boom, visibility.StateBackingOff, "boom", "clover-spark failed at "},
		{Full, boom, visibility.StateDown, "boom", "clover-spark failed at "},
		{Full, nil, visibility.StateOK, "", ": 1 files, 3 spans, "},
	} {
		spark.fault = step.fault
		if _, err := s.RunOnce(t.Context(), step.kind); (err != nil) != (step.fault != nil) {
			t.Fatal(err)
		}
		st := r.Status()
		if st.State != step.state || !strings.Contains(st.Error, step.says) || (st.Error == "") != (step.says == "") ||
			!strings.Contains(st.Detail, step.detail) || st.Delivered != 3 {
			t.Errorf("%+v, want %+v", st, step)
		}
	}
	put(t, data, "day=1/b.parquet", 4)
	if _, err := s.RunOnce(t.Context(), Fast); err != nil {
		t.Fatal(err)
	}
	if st := r.Status(); !strings.Contains(st.Detail, "; clover-spark-fast ok at ") || st.Delivered != 7 || st.Pulls != 6 || st.Errors != 3 || st.LastSuccess.IsZero() {
		t.Errorf("%+v", st)
	}
	if err := os.WriteFile(filepath.Join(results, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st := r.Status(); st.State != visibility.StateDown || !strings.Contains(st.Error, "cannot be read") {
		t.Errorf("a state that is damaged: %+v", st)
	}
}
