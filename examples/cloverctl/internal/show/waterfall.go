package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// Bounds of the layout, in columns.
const (
	minBar    = 16
	maxBar    = 64
	maxLabel  = 48
	maxIndent = 24
	// outcomeWidth is what a line keeps for the duration and for what was
	// asked and answered.
	outcomeWidth = 48
)

// root is the parent of spans that have none in the trace.
const root = -1

// Waterfall prints a trace as a tree with a bar for each span. Every span is
// shown once, also where parents are missing or go round in a circle.
func (p Printer) Waterfall(t *v1.GetTraceResponse) error {
	sum := t.GetSummary()
	if _, err := fmt.Fprintf(p.Out, "trace %s  %s  %s  %s, %s\n\n", Clean(sum.GetTraceId()), Time(sum.GetStart()),
		Duration(sum.GetDuration()), count(sum.GetSpans(), "span"), count(sum.GetErrors(), "error")); err != nil {
		return err
	}
	w := newWaterfall(t)
	width := 0
	for _, l := range w.lines {
		width = max(width, utf8.RuneCountInString(l.label))
	}
	terminal := p.Width
	if terminal == 0 {
		terminal = DefaultWidth
	}
	w.bars = min(max(terminal-width-outcomeWidth, minBar), maxBar)
	for _, l := range w.lines {
		label := l.label + strings.Repeat(" ", width-utf8.RuneCountInString(l.label))
		line := fmt.Sprintf("%s  %s %8s  %s", label, w.bar(l.span), Duration(l.span.GetDuration()), outcome(l.span))
		line = strings.TrimRight(line, " ")
		if l.span.GetError() {
			line = p.Red(line)
		}
		if _, err := fmt.Fprintln(p.Out, line); err != nil {
			return err
		}
	}
	if w.orphans > 0 {
		if err := p.Note(fmt.Sprintf("%s: the parent is not in the trace", count(w.orphans, "span"))); err != nil {
			return err
		}
	}
	return p.Notes(t.GetCompleteness())
}

func count(n int32, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// waterfall is the layout of a trace.
type waterfall struct {
	start    time.Time
	total    time.Duration
	bars     int // columns of the time axis
	spans    []*v1.Span
	children map[int][]int // by the parent's index
	lines    []line
	seen     []bool
	orphans  int32
}

type line struct {
	label string
	span  *v1.Span
}

func newWaterfall(t *v1.GetTraceResponse) *waterfall {
	spans := slices.Clone(t.GetSpans())
	slices.SortStableFunc(spans, func(a, b *v1.Span) int {
		return a.GetStart().AsTime().Compare(b.GetStart().AsTime())
	})
	w := &waterfall{spans: spans, children: map[int][]int{}, seen: make([]bool, len(spans))}
	w.start, w.total = t.GetSummary().GetStart().AsTime(), t.GetSummary().GetDuration().AsDuration()
	w.index()
	for _, i := range w.children[root] {
		w.layout(i, 0)
	}
	for i := range spans { // what goes round in a circle has no root
		w.layout(i, 0)
	}
	return w
}

// index finds each span's parent.
func (w *waterfall) index() {
	byID := map[string][]int{}
	for i, s := range w.spans {
		byID[s.GetSpanId()] = append(byID[s.GetSpanId()], i)
	}
	for i, s := range w.spans {
		parent := w.parent(i, byID)
		if parent == root && s.GetParentId() != "" {
			w.orphans++
		}
		w.children[parent] = append(w.children[parent], i)
	}
}

// parent returns the index of a span's parent. Both sides of a call may share
// one id, as Zipkin's tracers do it: the client's side is then the parent of
// the server's, and what the server did is below the server's.
func (w *waterfall) parent(i int, byID map[string][]int) int {
	s := w.spans[i]
	serves := s.GetKind() == "server" || s.GetKind() == "consumer"
	calls := func(j int) bool { return w.spans[j].GetKind() == "client" || w.spans[j].GetKind() == "producer" }
	if serves {
		for _, j := range byID[s.GetSpanId()] {
			if j != i && calls(j) {
				return j
			}
		}
	}
	found := root
	for _, j := range byID[s.GetParentId()] {
		if j != i && (found == root || calls(j) == serves) {
			found = j
		}
	}
	return found
}

// layout adds the line of a span and those below it.
func (w *waterfall) layout(i, depth int) {
	if w.seen[i] {
		return
	}
	w.seen[i] = true
	s := w.spans[i]
	label := strings.Repeat("  ", min(depth, maxIndent/2)) + Clean(cmp.Or(s.GetService(), "(unknown)"))
	if s.GetKind() != "server" {
		label += " (" + Clean(s.GetKind()) + ")"
	}
	w.lines = append(w.lines, line{shorten(label, maxLabel), s})
	for _, child := range w.children[i] {
		w.layout(child, depth+1)
	}
}

func shorten(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// bar places a span on the time axis. What lies outside of the trace's own
// range, as clocks may differ, is shown at its edge.
func (w *waterfall) bar(s *v1.Span) string {
	begin := s.GetStart().AsTime().Sub(w.start)
	from := w.column(begin)
	to := max(w.column(begin+s.GetDuration().AsDuration()), from) + 1
	return strings.Repeat("·", from) + strings.Repeat("█", to-from) + strings.Repeat("·", w.bars-to)
}

// column is where a moment is on the time axis.
func (w *waterfall) column(at time.Duration) int {
	share := float64(at) / float64(max(w.total, 1))
	return int(min(max(share, 0), 1) * (float64(w.bars) - 0.5))
}

// outcome says what was asked and answered.
func outcome(s *v1.Span) string {
	var parts []string
	if s.GetStatus() != 0 {
		parts = append(parts, fmt.Sprint(s.GetStatus()))
	}
	if s.GrpcStatus != nil {
		parts = append(parts, fmt.Sprintf("grpc %d", s.GetGrpcStatus()))
	}
	request := strings.TrimSpace(s.GetMethod() + " " + s.GetUrl())
	if request != "" {
		parts = append(parts, request)
	}
	if op := s.GetOperation(); op != "" && op != request {
		parts = append(parts, "["+op+"]")
	}
	text := strings.Join(parts, " ")
	if s.GetStatusMessage() != "" {
		text += ": " + s.GetStatusMessage()
	}
	return Clean(text)
}
