package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// eveLine is an alert with the number n as its signature's id.
func eveLine(n int) string {
	return fmt.Sprintf(`{"timestamp":"2026-01-02T03:04:05.%06d+0000","event_type":"alert","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","alert":{"gid":1,"signature_id":%d,"rev":1}}`+"\n", n%1000000, n)
}

// otherLine is an event that is no alert.
func otherLine(n int) string {
	return fmt.Sprintf(`{"timestamp":"2026-01-02T03:04:05.%06d+0000","event_type":"http","n":%d}`+"\n", n%1000000, n)
}

// writer is an engine that writes a log.
type writer struct {
	t    *testing.T
	path string
	f    *os.File
	n    int
}

func newWriter(t *testing.T) *writer {
	w := &writer{t: t, path: filepath.Join(t.TempDir(), "eve.json")}
	w.open()
	t.Cleanup(func() { w.f.Close() })
	return w
}

func (w *writer) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) open() {
	w.t.Helper()
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	w.must(err)
	w.f = f
}

// alerts writes the next n alerts, each with another event before it.
func (w *writer) alerts(n int) {
	w.t.Helper()
	for range n {
		w.n++
		_, err := io.WriteString(w.f, otherLine(w.n)+eveLine(w.n))
		w.must(err)
	}
}

// rename rotates as "logrotate" does with "create": older files get higher
// numbers.
func (w *writer) rename(reopen bool) {
	w.t.Helper()
	for i := 98; i > 0; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", w.path, i), fmt.Sprintf("%s.%d", w.path, i+1))
	}
	w.must(os.Rename(w.path, w.path+".1"))
	if reopen {
		w.f.Close()
		w.open()
	}
}

// copyTruncate rotates as "logrotate" does with "copytruncate".
func (w *writer) copyTruncate() {
	w.t.Helper()
	data, err := os.ReadFile(w.path)
	w.must(err)
	for i := 98; i > 0; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", w.path, i), fmt.Sprintf("%s.%d", w.path, i+1))
	}
	w.must(os.WriteFile(w.path+".1", data, 0o600))
	w.must(os.Truncate(w.path, 0))
}

// later waits until the file system's clock, which goes in steps, gives a file
// that is made now a later time than the log has.
func (w *writer) later() {
	w.t.Helper()
	other := filepath.Join(w.t.TempDir(), "other")
	testutil.Eventually(w.t, 10*time.Second, func() (bool, string) {
		w.must(os.WriteFile(other, []byte("x"), 0o600))
		a, err := os.Stat(w.path)
		w.must(err)
		b, err := os.Stat(other)
		w.must(err)
		return b.ModTime().After(a.ModTime()), "same time"
	})
}

// reading is a source that runs.
type reading struct {
	t      *testing.T
	source Source
	stop   func()

	mu       sync.Mutex
	alerts   []*Alert
	position string
}

// readFrom runs a source behind what an earlier reading has read.
func readFrom(t *testing.T, s Source, before *reading) *reading {
	t.Helper()
	r := &reading{t: t, source: s}
	if before != nil {
		before.stop()
		r.alerts, r.position = before.alerts, before.position
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, r.position, func(a *Alert, position string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if a != nil {
				r.alerts = append(r.alerts, a)
			}
			r.position = position
			return nil
		})
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("source: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// want waits until exactly the alerts 1 to n were read, in order.
func (r *reading) want(n int) {
	r.t.Helper()
	testutil.Eventually(r.t, 8*time.Second, func() (bool, string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		ids := map[string]bool{}
		for i, a := range r.alerts {
			if int(a.SignatureID) != i+1 {
				r.t.Fatalf("alert %d is %d: lost or doubled", i+1, a.SignatureID)
			}
			if ids[a.ID] {
				r.t.Fatalf("the identity %s is not its own", a.ID)
			}
			ids[a.ID] = true
		}
		return len(r.alerts) == n, fmt.Sprintf("%d alerts, want %d; %+v", len(r.alerts), n, r.source.Stats())
	})
}

func fileOf(path string) *File {
	return NewFile(path, EVE, FileOptions{Poll: 2 * time.Millisecond, Settle: 20 * time.Millisecond})
}

func TestFileFollowsARotatingLog(t *testing.T) {
	for name, rotate := range map[string]func(w *writer){
		"rename":            func(w *writer) { w.rename(true) },
		"copy and truncate": (*writer).copyTruncate,
		"remove":            func(w *writer) { w.must(os.Remove(w.path)); w.f.Close(); w.open() },
		"late reopening":    func(w *writer) { w.rename(false); w.alerts(3); w.f.Close(); w.open() },
		"create, then write": func(w *writer) {
			w.rename(false)
			w.must(os.WriteFile(w.path, nil, 0o600))
			w.alerts(3)
			w.f.Close()
			w.open()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			r := readFrom(t, fileOf(w.path), nil)
			for range 4 {
				w.alerts(50)
				r.want(w.n) // what a removed file had was read before
				rotate(w)
			}
			w.alerts(1)
			r.want(w.n)
			if s := r.source.Stats(); s.Gaps != 0 || s.Rejected != 0 || s.Truncated != 0 || s.Records != s.Alerts+s.Other || s.Alerts != uint64(w.n) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestFileReadsOnWhereItWas stops the reader while the log goes on and
// rotates.
func TestFileReadsOnWhereItWas(t *testing.T) {
	for name, rotate := range map[string]func(w *writer){
		"no rotation":       func(*writer) {},
		"rename":            func(w *writer) { w.rename(true) },
		"copy and truncate": (*writer).copyTruncate,
		"twice":             func(w *writer) { w.rename(true); w.alerts(5); w.rename(true) },
		"into emptiness":    func(w *writer) { w.rename(true); w.rename(true); w.alerts(1); w.rename(true) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			w.alerts(20)
			r := readFrom(t, fileOf(w.path), nil)
			r.want(w.n)
			for range 3 {
				r.stop()
				w.alerts(7)
				rotate(w)
				w.alerts(7)
				r = readFrom(t, fileOf(w.path), r)
				r.want(w.n)
				if s := r.source.Stats(); s.Gaps != 0 {
					t.Errorf("%+v", s)
				}
				w.alerts(1)
				r.want(w.n)
			}
		})
	}
}

// TestFileStopsAnywhere ends the reader after each single alert.
func TestFileStopsAnywhere(t *testing.T) {
	w := newWriter(t)
	w.alerts(30)
	var got []uint32
	position := ""
	for len(got) < 60 {
		err := fileOf(w.path).Run(t.Context(), position, func(a *Alert, p string) error {
			position = p
			if a == nil {
				return nil
			}
			got = append(got, a.SignatureID)
			return io.EOF
		})
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if len(got) == 10 {
			w.rename(true)
			w.alerts(30)
		}
	}
	for i, id := range got {
		if int(id) != i+1 {
			t.Fatalf("lost or doubled: %v", got)
		}
	}
}

func TestFileCountsWhatIsLost(t *testing.T) {
	w := newWriter(t)
	w.alerts(5)
	r := readFrom(t, fileOf(w.path), nil)
	r.want(5)
	r.stop()
	w.alerts(5) // nobody will see them
	w.later()
	w.must(os.Remove(w.path))
	w.f.Close()
	w.open()
	w.n = 5
	w.alerts(5)
	r = readFrom(t, fileOf(w.path), r)
	r.want(10)
	if s := r.source.Stats(); s.Gaps != 1 {
		t.Errorf("%+v", s)
	}
	_, err := io.WriteString(w.f, "no JSON\n"+eveLine(11)[:40])
	w.must(err)
	w.rename(true)
	w.n = 10
	w.alerts(1)
	r.want(11)
	if s := r.source.Stats(); s.Rejected != 1 || s.Truncated != 1 || s.Records != s.Alerts+s.Other+s.Rejected {
		t.Errorf("%+v", s)
	}
}

// TestFileCountsATruncationWithoutACopy holds that nobody takes a log for
// complete that was cut off with its last alerts.
func TestFileCountsATruncationWithoutACopy(t *testing.T) {
	for name, copied := range map[string]string{"no copy": "", "a compressed one": ".1.gz"} {
		w := newWriter(t)
		w.alerts(5)
		half, err := io.WriteString(w.f, eveLine(6)[:40])
		w.must(err)
		r := readFrom(t, fileOf(w.path), nil)
		r.want(5)
		testutil.Eventually(t, 10*time.Second, func() (bool, string) { return r.source.Stats().Records == 10, "not all was read" })
		if copied != "" {
			w.must(os.WriteFile(w.path+copied, make([]byte, half), 0o600))
		}
		w.must(os.Truncate(w.path, 0))
		w.alerts(1)
		r.want(6)
		if s := r.source.Stats(); s.Gaps != 1 || s.Truncated > 1 || s.Rejected != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		r.stop()
	}
}

func TestFileWaitsForTheEndOfARecord(t *testing.T) {
	w := newWriter(t)
	r := readFrom(t, fileOf(w.path), nil)
	line := eveLine(1)
	for i := range line {
		_, err := io.WriteString(w.f, line[i:i+1])
		w.must(err)
		if i%40 == 0 {
			time.Sleep(3 * time.Millisecond) // so that the reader sees a part
		}
	}
	r.want(1)
	if s := r.source.Stats(); s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
}

// TestFileOfUnified2 has names that end with a time, and records that come in
// pieces.
func TestFileOfUnified2(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "snort.u2")
	source := func(settle time.Duration) *File {
		return NewFile(base, Unified2, FileOptions{Poll: 2 * time.Millisecond, Settle: settle})
	}
	add := func(name string, data ...[]byte) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, d := range data {
			if _, err := f.Write(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait := func(r *reading, ids ...uint32) {
		t.Helper()
		testutil.Eventually(t, 8*time.Second, func() (bool, string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			var got []uint32
			for _, a := range r.alerts {
				got = append(got, a.EventID)
				if len(a.Packets) != 1 {
					return false, fmt.Sprintf("event %d has %d packets", a.EventID, len(a.Packets))
				}
			}
			return slices.Equal(got, ids), fmt.Sprint(got, " ", r.source.Stats())
		})
	}
	add("snort.u2.1524609217", u2Of(7, 1), u2PacketOf(1, "a"), u2Of(105, 2), u2PacketOf(2, "b")[:20])
	r := readFrom(t, source(time.Hour), nil) // an alert is complete when the next one begins
	wait(r, 1)
	add("snort.u2.1524609217", u2PacketOf(2, "b")[20:], u2Of(7, 3))
	wait(r, 1, 2)
	r.stop()
	add("snort.u2.1524609217", u2PacketOf(3, "c"))
	testutil.Eventually(t, 5*time.Second, func() (bool, string) { // a later file has a later time
		add("snort.u2.1524609300", nil)
		a, _ := os.Stat(filepath.Join(dir, "snort.u2.1524609217"))
		b, _ := os.Stat(filepath.Join(dir, "snort.u2.1524609300"))
		os.Chtimes(filepath.Join(dir, "snort.u2.1524609300"), time.Time{}, time.Now())
		return b.ModTime().After(a.ModTime()), "same time"
	})
	add("snort.u2.1524609300", u2Of(104, 4), u2PacketOf(4, "d"))
	r = readFrom(t, source(20*time.Millisecond), r) // or when nothing more comes
	wait(r, 1, 2, 3, 4)
}
