package show

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is in a zone that is not UTC, so that a forgotten conversion shows.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 250e6, time.FixedZone("", 2*3600))

func TestMain(m *testing.M) {
	time.Local = noon.Location()
	os.Exit(m.Run())
}

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// table has one of each kind of cells, and names that a terminal must not
// see.
func table() Table {
	return Table{
		Columns: []string{"service", "count", "rate", "error_rate", "p99", "time", "value", "min"},
		Wide:    6,
		Rows: [][]any{
			{"http-lb", int64(1200), Rate(13.333333333333334), Share(0.0125), durationpb.New(1234567 * time.Nanosecond), timestamppb.New(noon), 1234567.5, durationpb.New(0)},
			{"evil\x1b[2J\t,\"x\"", int64(0), Rate(0), Share(0), (*durationpb.Duration)(nil), (*timestamppb.Timestamp)(nil), "", durationpb.New(time.Hour)},
		},
		Bad:   func(i int) bool { return i == 0 },
		Notes: []string{"3 more values"},
		Completeness: &v1.Completeness{Open: 12, Notes: []*v1.Note{
			{Code: "range_snapped", Detail: "answered for whole buckets"},
			{Code: "truncated", Source: "jaeger", Detail: "3 spans were not given out at the source"},
			{Code: "rejected", Source: "otlp", Service: "we\x07b", Detail: "1 spans could not be stored: expired"},
		}},
	}
}

func TestGoldenTables(t *testing.T) {
	for name, p := range map[string]Printer{
		"plain.txt": {Format: "table"}, "wide.txt": {Format: "wide"}, "rows.csv": {Format: "csv"},
		"color.txt": {Format: "table", Color: true},
	} {
		var out bytes.Buffer
		p.Out = &out
		if err := p.Answer([]byte(`{}`), table()); err != nil {
			t.Error(err)
		}
		golden(t, name, out.String())
	}
}

func TestCSVHasExactValues(t *testing.T) {
	var out bytes.Buffer
	p := Printer{Out: &out, Format: "csv"}
	if err := p.Answer(nil, table()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	at, err := time.Parse(time.RFC3339Nano, rows[1][5])
	if err != nil || !at.Equal(noon) || !strings.HasSuffix(rows[1][5], "+02:00") {
		t.Errorf("time %q, %v; want %v in the local zone", rows[1][5], err, noon)
	}
	if rows[0][4] != "p99_seconds" || rows[1][4] != "0.001234567" || rows[1][2] != "13.333333333333334" || rows[2][4] != "" {
		t.Errorf("rows %q", rows)
	}
}

func TestJSONKeepsTheAnswer(t *testing.T) {
	raw := `{"b":"9007199254740993","a":1.50,"empty":[]}`
	var out bytes.Buffer
	if err := (Printer{Out: &out, Format: "json"}).Answer([]byte(raw), Table{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(out.String()), ""); got != raw {
		t.Errorf("%s, want %s", got, raw)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1500: "1.5µs", 999999: "1000µs", 1230 * time.Microsecond: "1.23ms",
		999600 * time.Microsecond: "1000ms", 45678 * time.Millisecond: "45.7s", 90 * time.Second: "1m30s", -time.Second: "-1s",
	} {
		if got := Duration(durationpb.New(d)); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
	}
}

func TestNoNotesOnACompleteAnswer(t *testing.T) {
	var out bytes.Buffer
	p := Printer{Out: &out, Format: "table"}
	tab := Table{Columns: []string{"a"}, Rows: [][]any{{"b"}}, Completeness: &v1.Completeness{Complete: true}}
	if err := p.Answer(nil, tab); err != nil || out.String() != "A\nb\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// span makes a span that starts and lasts so many milliseconds.
func span(id, parent, kind, service string, start, ms int) *v1.Span {
	return &v1.Span{
		SpanId: id, ParentId: parent, Kind: kind, Service: service, Operation: service + ".default:9180/*", Method: "GET", Url: "http://" + service + "/a",
		Status: 200, Start: timestamppb.New(noon.Add(time.Duration(start) * time.Millisecond)), Duration: durationpb.New(time.Duration(ms) * time.Millisecond),
	}
}

func trace(spans ...*v1.Span) *v1.GetTraceResponse {
	return &v1.GetTraceResponse{
		Summary: &v1.TraceSummary{TraceId: "4bf9", Start: timestamppb.New(noon), Duration: durationpb.New(100 * time.Millisecond), Spans: int32(len(spans)), Errors: 1},
		Spans:   spans, Completeness: &v1.Completeness{Open: 1},
	}
}

func waterfallOf(t *testing.T, p Printer, res *v1.GetTraceResponse) string {
	t.Helper()
	var out bytes.Buffer
	p.Out = &out
	if err := p.Waterfall(res); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGoldenWaterfall(t *testing.T) {
	failed := span("c", "b", "client", "http-lb", 30, 40)
	failed.Status, failed.Error, failed.StatusMessage, failed.GrpcStatus = 503, true, "no \x1bhealthy upstream", proto.Int32(14)
	res := trace(
		failed,
		span("b", "a", "server", "http-lb", 20, 60), // shares its id with the client's side
		span("b", "a", "client", "proxy-access-control", 10, 80),
		span("a", "", "server", "proxy-access-control", 0, 100),
		span("d", "gone", "server", "clover-server1", 95, 30), // a clock that is ahead
	)
	golden(t, "waterfall.txt", waterfallOf(t, Printer{}, res))
	golden(t, "waterfall-color.txt", waterfallOf(t, Printer{Color: true, Width: 200}, res))
}

func TestWaterfallShowsEverySpanOnce(t *testing.T) {
	deep := make([]*v1.Span, 5000)
	for i := range deep {
		deep[i] = span(strings.Repeat("x", i%7)+string(rune('a'+i)), "", "server", "deep", 0, 1)
		if i > 0 {
			deep[i].ParentId = deep[i-1].SpanId
		}
	}
	for name, spans := range map[string][]*v1.Span{
		"circle": {span("a", "b", "server", "one", 0, 1), span("b", "a", "server", "two", 0, 1)},
		"self":   {span("a", "a", "server", "one", 0, 1)},
		"twins":  {span("a", "", "client", "one", 0, 1), span("a", "a", "client", "two", 0, 1)},
		"empty":  {{}},
		"deep":   deep,
	} {
		out := waterfallOf(t, Printer{Width: 40}, trace(spans...))
		if got := strings.Count(out, "█") > 0; !got {
			t.Errorf("%s: no bar in\n%s", name, out)
		}
		lines := 0
		for l := range strings.Lines(out) {
			if strings.ContainsRune(l, '█') {
				lines++
			}
		}
		if lines != len(spans) {
			t.Errorf("%s: %d lines for %d spans", name, lines, len(spans))
		}
	}
}
