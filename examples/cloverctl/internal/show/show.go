// Package show prints answers: tables, JSON, YAML and CSV.
package show

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// Formats are the values of -o.
var Formats = []string{"table", "wide", "json", "yaml", "csv"}

// Printer prints answers in one format.
type Printer struct {
	Out    io.Writer
	Format string // of Formats
	Color  bool
}

// Table is an answer as rows. Wide columns are shown with -o wide and in CSV.
type Table struct {
	Columns []string
	Wide    int // number of columns of a plain table; 0: all
	Rows    [][]string
	// Bad tells rows to be shown in red.
	Bad func(row int) bool
	// Notes are printed below a table.
	Completeness *v1.Completeness
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

func (p Printer) csv(t Table) error {
	w := csv.NewWriter(p.Out)
	if err := w.Write(t.Columns); err != nil {
		return err
	}
	if err := w.WriteAll(t.Rows); err != nil {
		return err
	}
	return w.Error()
}

func (p Printer) table(t Table) error {
	if len(t.Rows) == 0 {
		fmt.Fprintln(p.Out, "Nothing found.")
		return p.notes(t.Completeness)
	}
	columns := len(t.Columns)
	if p.Format != "wide" && t.Wide > 0 {
		columns = t.Wide
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	upper := make([]string, columns)
	for i, c := range t.Columns[:columns] {
		upper[i] = strings.ToUpper(strings.ReplaceAll(c, "_", " "))
	}
	fmt.Fprintln(w, strings.Join(upper, "\t"))
	for _, row := range t.Rows {
		cells := make([]string, columns)
		for i := range cells {
			cells[i] = Clean(row[i])
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
	return p.notes(t.Completeness)
}

// notes prints what an answer is based on.
func (p Printer) notes(c *v1.Completeness) error {
	for _, n := range c.GetNotes() {
		if n.GetCode() == "range_snapped" && p.Format != "wide" {
			continue // takes nothing from the answer
		}
		where := strings.Trim(n.GetSource()+" "+n.GetService(), " ")
		if where != "" {
			where += ": "
		}
		if _, err := fmt.Fprintln(p.Out, p.Dim("! "+where+Clean(n.GetDetail()))); err != nil {
			return err
		}
	}
	if n := c.GetOpen(); n > 0 {
		if _, err := fmt.Fprintln(p.Out, p.Dim(fmt.Sprintf("! %d spans wait for the report of their other side", n))); err != nil {
			return err
		}
	}
	return nil
}

// Red shows a fault, Dim an aside, if colours are wanted.
func (p Printer) Red(s string) string { return p.paint("31", s) }

// Dim shows an aside.
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

// Duration prints with three significant digits.
func Duration(d *durationpb.Duration) string {
	v := d.AsDuration()
	switch {
	case v >= time.Minute:
		return v.Round(time.Second).String()
	case v >= time.Second:
		return fmt.Sprintf("%.3gs", v.Seconds())
	case v >= time.Millisecond:
		return fmt.Sprintf("%.3gms", float64(v)/1e6)
	case v >= time.Microsecond:
		return fmt.Sprintf("%.3gµs", float64(v)/1e3)
	}
	return v.String()
}

// Time prints in the local zone; "-" if unset.
func Time(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05.000")
}

// Number prints an integer.
func Number[T ~int32 | ~int64 | ~int](n T) string { return fmt.Sprint(n) }

// Percent prints a share.
func Percent(f float64) string { return fmt.Sprintf("%.1f%%", 100*f) }
