package cassandra

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// tableRows are spans as Spark hands them to WriteTable.
func tableRows(spans ...tracing.Span) string {
	var b strings.Builder
	for i := range spans {
		fmt.Fprintf(&b, "%s\t%X\n", spans[i].TraceID, appendRecord(nil, &spans[i]))
	}
	return b.String()
}

// tableSpan is a span of trace 1, 2 … with the least that it needs.
func tableSpan(trace, id, parent byte, kind tracing.Kind, service string) tracing.Span {
	s := tracing.NewSpan()
	s.TraceID[15], s.SpanID[7], s.ParentID[7] = trace, id, parent
	s.Kind, s.Service, s.Start = kind, service, time.Unix(1_700_000_009, 123).UTC()
	return s
}

func TestWriteTable(t *testing.T) {
	odd := tableSpan(2, 1, 0, tracing.KindInternal, "a\tb\\n\r\n\xff")
	odd.Duration, odd.StatusCode, odd.Error, odd.RequestSize = -1, 503, true, 0
	in := tableRows(
		// The server's side comes before the client's, whose source it has.
		tableSpan(1, 2, 1, tracing.KindServer, "server"), tableSpan(1, 1, 0, tracing.KindClient, "client"),
		odd,
	)
	var out bytes.Buffer
	if err := WriteTable(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	const at = "1700000000\t1700000009000000123\t"
	want := []string{
		"00000000000000000000000000000001\t0000000000000002\t0000000000000001\t" + at +
			"0\tfalse\t-1\t-1\t0\tfalse\tserver\t\t\t\t\t\t\t\tserver\tclient\tserver\t\tserver",
		"00000000000000000000000000000001\t0000000000000001\t\t" + at +
			"0\tfalse\t-1\t-1\t0\tfalse\tclient\t\t\t\t\t\t\t\tclient\tclient\t\t\tspan",
		"00000000000000000000000000000002\t0000000000000001\t\t" + at +
			"-1\ttrue\t0\t-1\t503\tfalse\ta\\tb\\bn\\r\\n\uFFFD\t\t\t\t\t\t\t\tinternal\t\t\t\tspan",
	}
	if got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestWriteTableRefuses(t *testing.T) {
	one, two := tableSpan(1, 1, 0, tracing.KindServer, "a"), tableSpan(2, 1, 0, tracing.KindServer, "a")
	row := tableRows(one)
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"nothing", "", nil},
		{"a trace in two pieces", tableRows(one, two, one), visibility.ErrInvalid},
		{"no record", "00000000000000000000000000000001\n", visibility.ErrInvalid},
		{"an empty line", row + "\n", visibility.ErrInvalid},
		{"a record that is cut off", row[:len(row)-21] + "\n", storekit.ErrCorrupt},
		{"no hexadecimal", strings.Replace(row, "\t", "\tx", 1), hex.InvalidByteError('x')},
		{"a line that is cut off", row[:len(row)-1], io.ErrUnexpectedEOF},
	} {
		if err := WriteTable(strings.NewReader(c.in), io.Discard); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	if err := WriteTable(strings.NewReader(tableRows(one, two)), brokenWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("nobody reads: %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// FuzzWriteTable holds that each row becomes a line of as many values, or that
// there is an error.
func FuzzWriteTable(f *testing.F) {
	f.Add([]byte(tableRows(tableSpan(1, 2, 1, tracing.KindServer, "a\nb"), tableSpan(1, 1, 0, tracing.KindClient, "\t"))))
	f.Add([]byte("1\tff\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if err := WriteTable(bytes.NewReader(in), &out); err != nil {
			return
		}
		if got, want := bytes.Count(out.Bytes(), []byte{'\n'}), bytes.Count(in, []byte{'\n'}); got != want {
			t.Fatalf("%d lines of %d rows", got, want)
		}
		for line := range strings.Lines(out.String()) {
			if n := strings.Count(line, "\t"); n != 23 || strings.Contains(line, "\r") {
				t.Errorf("a line with %d tabs: %q", n, line)
			}
		}
	})
}

// BenchmarkWriteTable turns the rows of 4,000 traces of five spans into lines.
func BenchmarkWriteTable(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var spans []tracing.Span
	for range 4000 {
		spans = append(spans, meshTrace(rng, time.Unix(1_700_000_000, 0))...)
	}
	in := []byte(tableRows(spans...))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if err := WriteTable(bytes.NewReader(in), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(spans))*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}
