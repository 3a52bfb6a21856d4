package parquet_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/storetest"
)

// faulty is a folder that asks before each change whether that is to fail.
type faulty struct {
	parquet.Folder
	fault func(op, name string) error
}

func (f *faulty) Replace(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := f.fault("replace", name); err != nil {
		return err
	}
	return f.Folder.Replace(ctx, name, write)
}

func (f *faulty) Remove(ctx context.Context, name string) error {
	if err := f.fault("remove", name); err != nil {
		return err
	}
	return f.Folder.Remove(ctx, name)
}

var errKilled = errors.New("killed")

// killed is a folder of a process that is killed before its n-th change.
func killed(dir string, n int) *faulty {
	return &faulty{parquet.Dir(dir), func(string, string) error {
		if n--; n < 0 {
			return errKilled
		}
		return nil
	}}
}

// younger are the spans of traces that began at a time or after.
func younger(all []tracing.Span, from time.Time) (list []tracing.Span) {
	begin := map[tracing.TraceID]time.Time{}
	for i := range all {
		s := &all[i]
		if at, ok := begin[s.TraceID]; !ok || s.Start.Before(at) {
			begin[s.TraceID] = s.Start
		}
	}
	for i := range all {
		if !begin[all[i].TraceID].Before(from) {
			list = append(list, all[i])
		}
	}
	return list
}

// onDisk are the files with spans, and whatever else is in their folders.
func onDisk(t *testing.T, dir string) []string {
	t.Helper()
	list, err := parquet.Dir(dir).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if strings.Contains(e.Name, "/") {
			names = append(names, e.Name)
		}
	}
	return names
}

func paths(m *parquet.Manifest) (names []string) {
	for _, f := range m.Files {
		names = append(names, f.Path)
	}
	return names
}

// twoHours returns a store and its spans: of two hours, the first of which is
// to go.
func twoHours(t *testing.T) (visibility.Store, []tracing.Span) {
	t.Helper()
	store := storetest.NewReference(storetest.Options{Clock: clock})
	var list []tracing.Span
	for _, s := range storetest.RandomSpans(5, 50, epoch, 85*time.Minute) {
		if s.Start.Before(epoch.Add(90 * time.Minute)) {
			list = append(list, s)
		}
	}
	write(t, store, list)
	return store, list
}

// TestRetentionKilled kills an export that removes old files and writes new
// ones before each of its changes. Whoever reads the manifest then finds each
// file that it names, whole; the next export leaves what is young enough, all
// of it, once, and nothing else.
func TestRetentionKilled(t *testing.T) {
	from, all := twoHours(t)
	first, second := epoch.Add(40*time.Minute), epoch.Add(100*time.Minute) // when exports ran
	cutoff := epoch.Add(30 * time.Minute)
	o := parquet.Options{ Settle: -1, Open: true, Clock: func() time.Time { return first }}
	later := o
	later.Clock, later.Keep = func() time.Time { return second }, second.Sub(cutoff)
	want := younger(all, cutoff)
	kills, base := 0, t.TempDir()
	export(t, from, base, o)
	for done := false; !done; kills++ {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		_, err := parquet.ExportTo(t.Context(), from, killed(dir, kills), later)
		if done = err == nil; !done && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		m, err := parquet.ReadManifest(dir)
		if err != nil {
			t.Fatal(err)
		}
		files := onDisk(t, dir)
		for _, name := range paths(&m) {
			if !slices.Contains(files, name) {
				t.Errorf("killed before change %d: the manifest has %s, the folder has not", kills, name)
			}
		}
		read(t, dir) // whole, and nothing twice
		m = export(t, from, dir, later)
		if got := onDisk(t, dir); !slices.Equal(got, paths(&m)) || len(m.Dropping) > 0 || !m.From.Equal(cutoff) {
			t.Errorf("killed before change %d, then exported: files %q, manifest %+v", kills, got, m)
		}
		wantSpans(t, read(t, dir), want)
		if m.Spans() != int64(len(want)) {
			t.Errorf("killed before change %d: the manifest has %d spans, want %d", kills, m.Spans(), len(want))
		}
	}
	if kills < 5 || len(want) == len(all) || len(want) == 0 {
		t.Errorf("%d kills, %d of %d spans are young: this tests little", kills, len(want), len(all))
	}
}

// TestRetentionOnFullDisk holds that files go although the manifest cannot be
// written before.
func TestRetentionOnFullDisk(t *testing.T) {
	from, all := twoHours(t)
	dir := t.TempDir()
	o := parquet.Options{Settle: -1, Clock: clock}
	m := export(t, from, dir, o)
	full := true
	disk := &faulty{parquet.Dir(dir), func(op, _ string) error {
		if op == "remove" {
			full = false
		}
		if full {
			return &os.PathError{Op: "write", Path: dir, Err: syscall.ENOSPC}
		}
		return nil
	}}
	cutoff := epoch.Add(30 * time.Minute)
	o.Keep = now.Sub(cutoff)
	after, err := parquet.ExportTo(t.Context(), from, disk, o)
	if err != nil || len(after.Files) >= len(m.Files) || len(after.Files) == 0 {
		t.Fatalf("%d files of %d, %v", len(after.Files), len(m.Files), err)
	}
	wantSpans(t, read(t, dir), younger(all, cutoff))
}

// TestRetentionOfAll holds that an export into a folder of which all is too
// old goes on from what is kept.
func TestRetentionOfAll(t *testing.T) {
	from, _ := twoHours(t)
	dir := t.TempDir()
	o := parquet.Options{Settle: -1, Clock: clock}
	export(t, from, dir, o)
	o.Keep, o.Clock = time.Hour, func() time.Time { return now.Add(24 * time.Hour) }
	m := export(t, from, dir, o)
	if days, _ := filepath.Glob(filepath.Join(dir, "day=*")); len(m.Files) > 0 || len(days) > 0 || !m.From.Equal(now.Add(23*time.Hour).Truncate(time.Hour)) || m.Through.Before(m.From) {
		t.Errorf("%q are left, manifest %+v", days, m)
	}
	o.Keep = -time.Hour
	if _, err := parquet.Export(t.Context(), from, dir, o); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("a negative time: %v", err)
	}
}
