package node

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/opnfv/clover/internal/recordfile"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

// exportDown is the number of failures in a row after which an export is down.
const exportDown = 3

// Status returns how the export goes: what the folder has, or since when it is
// behind and why.
func (e *exporter) Status() visibility.SourceStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	st := e.status
	if !e.behind.IsZero() {
		st.Lag = time.Since(e.behind)
	}
	return st
}

// note notes the end of an export, which has left m.
func (e *exporter) note(began time.Time, m *parquet.Manifest, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, st := time.Now(), &e.status
	st.Pulls++
	st.LastPull, st.NextTry = now.Sub(began), began.Add(e.interval)
	if m.Version > 0 {
		st.Delivered, st.Watermark, st.Detail = m.Spans(), m.Through, describe(m)
	}
	switch {
	case err == nil:
		st.State, st.Error, st.Failures, st.LastSuccess, e.behind = visibility.StateOK, "", 0, now, time.Time{}
	case errors.Is(err, errStandby), errors.Is(err, recordfile.ErrLocked), errors.Is(err, visibility.ErrLocked):
		st.State, st.Error, st.Failures, e.behind = visibility.StateStandby, "", 0, time.Time{}
	default:
		st.Errors++
		st.Failures++
		if e.behind.IsZero() {
			e.behind = began
		}
		st.State = visibility.StateBackingOff
		if st.Failures >= exportDown {
			st.State = visibility.StateDown
		}
		st.Error = fmt.Sprintf("behind since %s: %s", e.behind.UTC().Format(time.RFC3339), reason(err))
		st.LastError, st.LastErrorAt = st.Error, now
	}
}

// describe says what a folder has.
func describe(m *parquet.Manifest) string {
	return fmt.Sprintf("%d files with %d spans, from %s to %s", len(m.Files), m.Spans(),
		m.From.UTC().Format(time.RFC3339), m.Through.UTC().Format(time.RFC3339))
}

// reason is an error in one line, which begins with what to do about a full
// disk.
func reason(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "the disk is full; give it room or a shorter --parquet-retention: " + text
	}
	return text
}
