package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/report"
)

// hostile is a label as a user might choose it.
const hostile = `</td><script>alert(1)</script>&"'`

func sample(t *testing.T) *report.Report {
	t.Helper()
	results := &jmeter.Results{Missed: 3}
	start := time.Unix(1_700_000_000, 0)
	for i := range 100 {
		results.Add(&jmeter.Sample{
			Start: start.Add(time.Duration(i) * 100 * time.Millisecond), Elapsed: time.Duration(i+1) * time.Millisecond,
			Label: "url1", Code: "200", Success: true,
		})
	}
	results.Add(&jmeter.Sample{Start: start, Elapsed: time.Second, Label: hostile, Code: "500", Message: "<b>\x1b[31m", Success: false})
	verdicts, err := results.Judge([]string{"p95(url1) < 200ms", "errors < 0.5%", "rate > 1/s", "count(gone) == 0"})
	if err != nil {
		t.Fatal(err)
	}
	return &report.Report{Name: hostile, RunID: "r1", Runner: "builtin", Began: start, Results: results, Verdicts: verdicts}
}

func TestFormats(t *testing.T) {
	r := sample(t)
	if r.Passed() {
		t.Error("passed")
	}
	out := map[string]string{}
	for _, format := range report.Formats {
		var b bytes.Buffer
		if err := r.Write(&b, format); err != nil {
			t.Fatal(format, err)
		}
		out[format] = b.String()
	}
	for _, want := range []string{"all", "101    1       0.99%", "✓ p95(url1) < 200ms (95", "✗ errors < 0.5% (0.99%)", "✗ count(gone) == 0 (no results)", "! 3 iterations"} {
		if !strings.Contains(out["table"], want) {
			t.Errorf("table has no %q:\n%s", want, out["table"])
		}
	}
	if strings.Contains(out["table"], "\x1b") {
		t.Error("a control character in the table")
	}
	if rows, err := csv.NewReader(strings.NewReader(out["csv"])).ReadAll(); err != nil || len(rows) != 4 || rows[1][0] != hostile {
		t.Errorf("csv: %v, %v", rows, err)
	}
	var doc struct {
		Passed bool
		Missed int64
		All    struct{ Count int64 }
	}
	if err := json.Unmarshal([]byte(out["json"]), &doc); err != nil || doc.Passed || doc.Missed != 3 || doc.All.Count != 101 {
		t.Errorf("json: %+v, %v", doc, err)
	}
	var suite struct {
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name string `xml:"name,attr"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(out["junit"]), &suite); err != nil || suite.Failures != 2 || len(suite.Cases) != 6 || suite.Cases[0].Name != hostile {
		t.Errorf("junit: %+v, %v", suite, err)
	}
}

// TestPageStandsAlone holds that the page loads nothing, runs no script and
// takes every text for text.
func TestPageStandsAlone(t *testing.T) {
	var b bytes.Buffer
	if err := sample(t).Write(&b, "html"); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, forbidden := range []string{"<script", "http:", "https:", "src=", "@import", "url(", "onload"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	for _, want := range []string{"default-src 'none'", "&lt;script&gt;alert(1)", "<polyline"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if m := regexp.MustCompile(`points="[^"]*(NaN|Inf)`).FindString(page); m != "" {
		t.Error(m)
	}
}

// TestShortRun holds that a run of one interval has lines that can be seen.
func TestShortRun(t *testing.T) {
	results := &jmeter.Results{}
	results.Add(&jmeter.Sample{Start: time.Unix(1_700_000_000, 0), Elapsed: time.Millisecond, Label: "url1", Code: "200", Success: true})
	var b bytes.Buffer
	if err := (&report.Report{Name: "short", Results: results}).Write(&b, "html"); err != nil {
		t.Fatal(err)
	}
	if lines := regexp.MustCompile(`points="0\.0,[0-9.]+ 640\.0,`).FindAllString(b.String(), -1); len(lines) < 4 {
		t.Errorf("%d of the lines go from side to side:\n%s", len(lines), b.String())
	}
}

func TestCompare(t *testing.T) {
	after := sample(t).Results
	after.Add(&jmeter.Sample{Label: "new", Code: "200", Success: true, Start: time.Unix(1_700_000_000, 0)})
	var b bytes.Buffer
	if err := report.WriteComparison(&b, report.Compare(sample(t).Results, after)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"only after: 1", "100 → 100", "101 → 102", "(+0%)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q:\n%s", want, b.String())
		}
	}
}
