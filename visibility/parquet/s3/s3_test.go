package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/parquet/s3"
	"github.com/opnfv/clover/visibility/storetest"
)

func TestMain(m *testing.M) { leak.Main(m) }

var (
	epoch = time.Date(2026, 3, 2, 22, 30, 0, 0, time.UTC)
	now   = epoch.Add(4 * time.Hour)
)

// newFolders returns a function that opens folders of one bucket of a real S3
// server, each with a memory of its own.
func newFolders(t *testing.T) func(prefix string) *s3.Folder {
	t.Helper()
	server := testutil.S3(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := minio.New(server.URL[len("http://"):], &minio.Options{
		Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.MakeBucket(t.Context(), "spans", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return func(prefix string) *s3.Folder {
		f, err := s3.Open(s3.Options{
			URL: "s3://spans/" + prefix, Endpoint: server.URL, Region: "us-east-1",
			AccessKey: server.AccessKey, SecretKey: server.SecretKey, Transport: transport,
		})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// text writes a text.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// TestServer runs what follows against one real server.
func TestServer(t *testing.T) {
	open := newFolders(t)
	t.Run("Files", func(t *testing.T) { testFiles(t, open("files"), open("files")) })
	t.Run("Spans", func(t *testing.T) { testSpans(t, open) })
}

// testFiles holds what parquet.Folder promises; other is the same folder in
// another process.
func testFiles(t *testing.T, f, other *s3.Folder) {
	ctx := t.Context()
	if _, err := f.Read(ctx, "_m"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := f.Open(ctx, "_m"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if err := f.Replace(ctx, "_m", text("one")); err != nil {
		t.Fatal(err)
	}
	if err := f.Replace(ctx, "_m", text("two")); err != nil {
		t.Fatal(err)
	}
	if data, err := other.Read(ctx, "_m"); string(data) != "two" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if err := f.Replace(ctx, "_m", text("three")); err != nil {
		t.Fatal(err)
	}
	if err := other.Replace(ctx, "_m", text("lost")); !errors.Is(err, visibility.ErrLocked) {
		t.Errorf("what another one has replaced since it was read: %v", err)
	}
	failure := errors.New("no more")
	err := f.Replace(ctx, "_m", func(w io.Writer) error { return errors.Join(text("half")(w), failure) })
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	if err := f.Replace(ctx, "day=1/a.parquet", text("a")); err != nil {
		t.Fatal(err)
	}
	opened, err := other.Open(ctx, "day=1/a.parquet")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if n, err := opened.ReadAt(b, 0); n != 1 || string(b) != "a" || opened.Size() != 1 || (err != nil && !errors.Is(err, io.EOF)) {
		t.Errorf("%q of %d bytes, %v", b, opened.Size(), err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	before, err := f.List(ctx)
	if err != nil || len(before) != 2 || before[0].Name != "_m" || before[1].Name != "day=1/a.parquet" {
		t.Errorf("%+v, %v", before, err)
	}
	if err := errors.Join(f.Replace(ctx, "day=1/a.parquet", text("b")), f.Remove(ctx, "_m"), f.Remove(ctx, "_m")); err != nil {
		t.Error(err)
	}
	if after, err := f.List(ctx); err != nil || len(after) != 1 || after[0].Stamp == before[1].Stamp {
		t.Errorf("%+v, %v; before: %+v", after, err, before)
	}
}

// testSpans exports, lets the old go, and imports, and holds that of two
// exports at once one is refused.
func testSpans(t *testing.T, open func(prefix string) *s3.Folder) {
	store := storetest.NewReference(storetest.Options{Clock: func() time.Time { return now }})
	all := storetest.RandomSpans(5, 100, epoch, 100*time.Minute)
	if _, err := store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: all}); err != nil {
		t.Fatal(err)
	}
	o := parquet.Options{Window: 30 * time.Minute, Settle: -1, Open: true, Clock: func() time.Time { return epoch.Add(2 * time.Hour) }}
	m, err := parquet.ExportTo(t.Context(), store, open("mesh"), o)
	if err != nil || m.Spans() != int64(len(all)) {
		t.Fatalf("%+v, %v", m, err)
	}
	read := map[tracing.Identity]tracing.Span{}
	err = parquet.ReadFrom(t.Context(), open("mesh"), func(spans []tracing.Span) error {
		for _, s := range spans {
			if _, twice := read[s.Identity()]; twice {
				return fmt.Errorf("%s is there twice", s.SpanID)
			}
			read[s.Identity()] = s
		}
		return nil
	})
	if err != nil || len(read) != len(all) {
		t.Errorf("%d spans, %v", len(read), err)
	}
	for i := range all {
		if got := read[all[i].Identity()]; !reflect.DeepEqual(got, all[i]) {
			t.Fatalf("span\n got %+v\nwant %+v", got, all[i])
		}
	}
	into := storetest.NewReference(storetest.Options{Clock: func() time.Time { return now }})
	for _, want := range []visibility.Receipt{{Kept: len(all)}, {Duplicates: len(all)}} {
		got, err := parquet.ImportFrom(t.Context(), open("mesh"), into, nil)
		if err != nil || got.Kept != want.Kept || got.Duplicates != want.Duplicates {
			t.Errorf("imported %+v, %v; want %+v", got, err, want)
		}
	}
	// While one reads the store, another one exports as well.
	slow := &meanwhile{Memory: store, do: func() error {
		later := o
		later.Clock = func() time.Time { return epoch.Add(3 * time.Hour) }
		_, err := parquet.ExportTo(t.Context(), store, open("mesh"), later)
		return err
	}}
	o.Keep, o.Clock = 3*time.Hour, func() time.Time { return now }
	if _, err := parquet.ExportTo(t.Context(), slow, open("mesh"), o); !errors.Is(err, visibility.ErrLocked) {
		t.Errorf("the second of two at once: %v", err)
	}
	m, err = parquet.ExportTo(t.Context(), store, open("mesh"), o)
	if err != nil || !m.From.Equal(epoch.Add(time.Hour)) {
		t.Fatalf("%+v, %v", m, err)
	}
	var names []string
	list, err := open("mesh").List(t.Context())
	for _, e := range list {
		if parquet.IsSpans(e.Name) {
			names = append(names, e.Name)
		}
	}
	want := []string{}
	for _, f := range m.Files {
		want = append(want, f.Path)
	}
	if err != nil || len(want) == 0 || !slices.Equal(names, want) {
		t.Errorf("files %q, %v; want %q", names, err, want)
	}
}

// meanwhile is a store beside which something is done when it is asked what it has.
type meanwhile struct {
	*storetest.Memory
	do func() error
}

func (m *meanwhile) Stats(ctx context.Context) (visibility.StoreStats, error) {
	if err := m.do(); err != nil {
		return visibility.StoreStats{}, err
	}
	return m.Memory.Stats(ctx)
}
