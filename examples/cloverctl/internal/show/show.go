// Package show prints answers: tables, JSON, YAML and CSV.
package show

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/goccy/go-yaml"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// Formats are the values of -o.
var Formats = []string{"table", "wide", "json", "yaml", "csv"}

// Printer prints answers in one format.
type Printer struct {
	Out    io.Writer
	Format string // of Formats
	Color  bool
	Width  int // columns of the terminal; 0: not a terminal
}

// DefaultWidth is the width of what is not a terminal.
const DefaultWidth = 120

// ForPeople reports whether the format is one to look at.
func (p Printer) ForPeople() bool { return p.Format == "table" || p.Format == "wide" }

// Table is an answer as rows. Wide columns are shown with -o wide and in CSV.
// A cell is a string, an integer, a *durationpb.Duration, a
// *timestamppb.Timestamp, a Share or a Rate.
type Table struct {
	Columns []string
	Wide    int // number of columns of a plain table; 0: all
	Rows    [][]any
	// Bad tells rows to be shown in red; nil: none.
	Bad func(row int) bool
	// Completeness is printed below a table as notes.
	Completeness *v1.Completeness
	// Notes are printed with it.
	Notes []string
}

// Row makes a row of one kind of cells.
func Row[T any](cells ...T) []any {
	row := make([]any, len(cells))
	for i, c := range cells {
		row[i] = c
	}
	return row
}

// Answer prints an answer: raw is the API's own JSON.
func (p Printer) Answer(raw []byte, t Table) error {
	switch p.Format {
	case "json":
		return p.json(raw)
	case "yaml":
		return p.yaml(raw)
	case "csv":
		return p.csv(t)
	}
	return p.table(t)
}

// json prints the API's own JSON; only the white space is new.
func (p Printer) json(raw []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := out.WriteTo(p.Out)
	return err
}

func (p Printer) yaml(raw []byte) error {
	out, err := yaml.JSONToYAML(raw)
	if err != nil {
		return err
	}
	_, err = p.Out.Write(out)
	return err
}

// durations are the columns that hold durations; in CSV their unit is in
// their name.
var durations = []string{"min", "mean", "p50", "p90", "p95", "p95_before", "p99", "max", "duration", "lag"}

// csv prints exact values, but for control characters on a terminal.
func (p Printer) csv(t Table) error {
	w := csv.NewWriter(p.Out)
	head := slices.Clone(t.Columns)
	for i, name := range head {
		if slices.Contains(durations, name) {
			head[i] += "_seconds"
		}
	}
	if err := w.Write(head); err != nil {
		return err
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = machine(cell)
			if p.Width > 0 {
				cells[i] = Clean(cells[i])
			}
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func (p Printer) table(t Table) error {
	if len(t.Rows) == 0 {
		if _, err := fmt.Fprintln(p.Out, "Nothing found."); err != nil {
			return err
		}
		return p.below(t)
	}
	columns := len(t.Columns)
	if p.Format != "wide" && t.Wide > 0 {
		columns = t.Wide
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	cells := make([]string, columns)
	for i, c := range t.Columns[:columns] {
		cells[i] = strings.ToUpper(strings.ReplaceAll(c, "_", " "))
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
	for _, row := range t.Rows {
		for i := range cells {
			cells[i] = human(row[i])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		if i > 0 && t.Bad != nil && t.Bad(i-1) {
			line = p.Red(line)
		}
		if _, err := fmt.Fprintln(p.Out, line); err != nil {
			return err
		}
	}
	return p.below(t)
}

// below prints what stands below a table.
func (p Printer) below(t Table) error {
	for _, n := range t.Notes {
		if err := p.Note(n); err != nil {
			return err
		}
	}
	return p.Notes(t.Completeness)
}

// Notes prints what an answer lacks; nothing if it is complete.
func (p Printer) Notes(c *v1.Completeness) error {
	for _, n := range c.GetNotes() {
		if n.GetCode() == "range_snapped" && p.Format != "wide" {
			continue // takes nothing from the answer
		}
		where := strings.TrimSpace(n.GetSource() + " " + n.GetService())
		if where != "" {
			where += ": "
		}
		if err := p.Note(where + n.GetDetail()); err != nil {
			return err
		}
	}
	switch n := c.GetOpen(); {
	case n == 1:
		return p.Note("1 request waits for its other side")
	case n > 1:
		return p.Note(fmt.Sprintf("%d requests wait for their other side", n))
	}
	return nil
}

// Note prints one line about what is missing.
func (p Printer) Note(text string) error {
	_, err := fmt.Fprintln(p.Out, p.Dim("! "+Clean(text)))
	return err
}

// Red shows a fault, if colours are wanted.
func (p Printer) Red(s string) string { return p.paint("31", s) }

// Dim shows an aside, if colours are wanted.
func (p Printer) Dim(s string) string { return p.paint("2", s) }

func (p Printer) paint(code, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Clean makes a string of the mesh safe for a terminal: control characters,
// which could move the cursor or worse, are shown as escapes.
func Clean(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\x%02x", r)
		}
	}
	return b.String()
}
