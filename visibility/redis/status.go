package visibilityredis

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Status returns how it goes: whether Redis is in step, or since when it is
// behind and why. Its Pulls are refreshes, and what it delivered are values
// written.
func (s *Syncer) Status() visibility.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	if !s.behind.IsZero() {
		st.Lag = time.Since(s.behind)
	}
	return st
}

// standBy notes that another process writes.
func (s *Syncer) standBy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.State, s.status.Error, s.status.Failures, s.behind = visibility.StateStandby, "", 0, time.Time{}
}

// finish notes the end of a refresh and returns the pause before the next.
func (s *Syncer) finish(began time.Time, values int, faults []error, err error) (pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, st := time.Now(), &s.status
	before := st.Error
	st.Pulls++
	st.LastPull = now.Sub(began)
	st.Delivered += int64(values)
	st.Error = oneLine(errors.Join(faults...))
	switch {
	case err != nil:
		st.Errors++
		pause = min(s.o.Refresh<<min(st.Failures, 10), max(maxPause, s.o.Refresh))
		st.Failures++
		if s.behind.IsZero() {
			s.behind = began
		}
		st.State = visibility.StateBackingOff
		if st.Failures >= 3 {
			st.State = visibility.StateDown
		}
		st.Error = behindSince(s.behind, err)
	case !s.late.since.IsZero():
		// Redis is in step with figures that are not.
		st.State, st.Failures, s.behind = visibility.StateDegraded, 1, s.late.since
		st.Error = behindSince(s.late.since, errors.Join(append([]error{s.late.why}, faults...)...))
	case len(faults) > 0:
		st.State = visibility.StateDegraded
	default:
		st.State = visibility.StateOK
	}
	if err == nil {
		st.LastSuccess = now
		pause = max(time.Until(began.Add(s.o.Refresh)), 4*st.LastPull)
		if s.late.since.IsZero() {
			st.Failures, s.behind = 0, time.Time{}
		}
	}
	if st.Error != "" {
		st.LastError, st.LastErrorAt = st.Error, now
	}
	st.NextTry = now.Add(pause)
	s.report(before, st.Error)
	return pause
}

// report logs a change. What is behind is told once.
func (s *Syncer) report(before, after string) {
	switch {
	case before == after, strings.HasPrefix(before, "behind") && strings.HasPrefix(after, "behind"):
	case after == "":
		s.o.Logger.Info("redis: in step", slog.String("redis", s.o.Name))
	default:
		s.o.Logger.Warn("redis: not in step; trying again", slog.String("redis", s.o.Name), slog.String("error", after))
	}
}

func behindSince(since time.Time, err error) string {
	return fmt.Sprintf("behind since %s: %s", since.UTC().Format(time.RFC3339), oneLine(err))
}

func oneLine(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
