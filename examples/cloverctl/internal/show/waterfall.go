package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// barWidth is the width of the time axis of a waterfall.
const barWidth = 32

// Waterfall prints a trace as a tree with a bar for each span.
func (p Printer) Waterfall(t *v1.GetTraceResponse) error {
	sum := t.GetSummary()
	fmt.Fprintf(p.Out, "trace %s  %s  %s  %d spans, %d errors\n\n", sum.GetTraceId(), Time(sum.GetStart()),
		Duration(sum.GetDuration()), sum.GetSpans(), sum.GetErrors())
	w := waterfall{Printer: p, start: sum.GetStart().AsTime(), total: sum.GetDuration().AsDuration()}
	w.index(t.GetSpans())
	for _, i := range w.children[-1] {
		w.layout(i, 0)
	}
	width := 0
	for _, l := range w.lines {
		width = max(width, len([]rune(l.label)))
	}
	for _, l := range w.lines {
		label := l.label + strings.Repeat(" ", width-len([]rune(l.label)))
		line := fmt.Sprintf("%s  %s %8s  %s", label, w.bar(l.span), Duration(l.span.GetDuration()), outcome(l.span))
		if l.span.GetError() {
			line = p.Red(line)
		}
		if _, err := fmt.Fprintln(p.Out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

type waterfall struct {
	Printer
	start    time.Time
	total    time.Duration
	spans    []*v1.Span
	children map[int][]int // by the parent's index; −1: roots
	lines    []line
	seen     map[int]bool
}

type line struct {
	label string
	span  *v1.Span
}

// index finds each span's parent: a client span before a server's if two
// share the id.
func (w *waterfall) index(spans []*v1.Span) {
	w.spans, w.children, w.seen = spans, map[int][]int{}, map[int]bool{}
	for i, s := range spans {
		parent := -1
		for j, o := range spans {
			if j == i {
				continue
			}
			shared := o.GetSpanId() == s.GetSpanId() && s.GetKind() == "server" && o.GetKind() == "client"
			if shared || (o.GetSpanId() == s.GetParentId() && (parent < 0 || o.GetKind() == "client")) {
				parent = j
			}
		}
		w.children[parent] = append(w.children[parent], i)
	}
	for _, list := range w.children {
		slices.SortStableFunc(list, func(a, b int) int {
			return spans[a].GetStart().AsTime().Compare(spans[b].GetStart().AsTime())
		})
	}
}

func (w *waterfall) layout(i, depth int) {
	if w.seen[i] {
		return
	}
	w.seen[i] = true
	s := w.spans[i]
	label := strings.Repeat("  ", depth) + s.GetService()
	if s.GetKind() != "server" {
		label += " (" + s.GetKind() + ")"
	}
	w.lines = append(w.lines, line{Clean(label), s})
	for _, child := range w.children[i] {
		w.layout(child, depth+1)
	}
}

// bar places a span on the time axis.
func (w *waterfall) bar(s *v1.Span) string {
	total := max(w.total, 1)
	from := int(s.GetStart().AsTime().Sub(w.start) * barWidth / total)
	to := int((s.GetStart().AsTime().Sub(w.start)+s.GetDuration().AsDuration())*barWidth/total) + 1
	from = min(max(from, 0), barWidth-1)
	to = min(max(to, from+1), barWidth)
	return strings.Repeat("·", from) + strings.Repeat("█", to-from) + strings.Repeat("·", barWidth-to)
}

// outcome says what was asked and answered.
func outcome(s *v1.Span) string {
	what := s.GetOperation()
	if s.GetUrl() != "" {
		what = strings.TrimSpace(s.GetMethod() + " " + s.GetUrl())
	}
	if s.GetStatus() != 0 {
		what = fmt.Sprintf("%d %s", s.GetStatus(), what)
	}
	if s.GetStatusMessage() != "" {
		what += ": " + s.GetStatusMessage()
	}
	return Clean(what)
}
