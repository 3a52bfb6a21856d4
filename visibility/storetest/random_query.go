package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// awkward are texts that are UTF-8 and mean something to a shell, to SQL or
// to a terminal.
var awkward = []string{
	"it's", `"quoted"`, `back\slash`, `trailing\`, "line\nfeed", "tab\there", "nul\x00byte", "'; DROP TABLE spans; --",
	"`tick`", "$variable ${brace}", "%s%n", "größe", "日本", "😀", "\u2028", "a\r\nb", `\u0041\n`, "/* */", "{{x}}", "",
}

// RandomSpans returns the spans of random traces that start within a time.
// Traces are whole and one after the other. Some URLs, user agents and
// operations are awkward.
func RandomSpans(seed uint64, traces int, from time.Time, over time.Duration) []tracing.Span {
	m := newMesh(seed)
	m.traceMany(traces, from, over)
	spans := make([]tracing.Span, len(m.spans))
	for i := range m.spans {
		s := &m.spans[i].Span
		for _, text := range []*string{&s.URL, &s.UserAgent, &s.Operation} {
			if m.rng.IntN(6) == 0 {
				*text += pick(m.rng, awkward...)
			}
		}
		spans[i] = *s
	}
	slices.SortStableFunc(spans, func(a, b tracing.Span) int { return slices.Compare(a.TraceID[:], b.TraceID[:]) })
	return spans
}

// RandomQuery returns a question about such spans, or about any others.
func RandomQuery(rng *rand.Rand, spans []tracing.Span, r visibility.Range) visibility.Query {
	q := visibility.Query{Range: randomRange(rng, r)}
	for range rng.IntN(4) {
		if d := visibility.Dimension(rng.IntN(visibility.NumDimensions)); !slices.Contains(q.GroupBy, d) {
			q.GroupBy = append(q.GroupBy, d)
		}
	}
	q.Count = pick(rng, visibility.CountRequests, visibility.CountSpans)
	q.Step = pick(rng, 0, 0, 0, 10*time.Second, time.Minute, 7*time.Minute, time.Hour)
	q.Limit = pick(rng, 0, 1, 3, 10)
	q.Ascending = rng.IntN(4) == 0
	q.OrderBy = pick(rng, "", visibility.MeasureCount, visibility.MeasureRate, visibility.MeasureErrors, visibility.MeasureErrorRate,
		visibility.MeasureMin, visibility.MeasureMean, visibility.MeasureMax, visibility.MeasureSum,
		visibility.MeasureP50, visibility.MeasureP90, visibility.MeasureP95, visibility.MeasureP99)
	if rng.IntN(3) > 0 {
		text := randomFilter(rng, spans, 2)
		f, err := visibility.ParseFilter(text)
		if err != nil {
			panic(fmt.Sprintf("filter %s: %v", text, err))
		}
		q.Filter = f
	}
	return q
}

func randomRange(rng *rand.Rand, r visibility.Range) visibility.Range {
	if rng.IntN(3) == 0 {
		return r
	}
	length := r.To.Sub(r.From)
	from := r.From.Add(time.Duration(rng.Int64N(int64(length))))
	return visibility.Range{From: from, To: from.Add(1 + time.Duration(rng.Int64N(int64(length))))}
}

// randomFilter writes an expression in the language of filters.
func randomFilter(rng *rand.Rand, spans []tracing.Span, depth int) string {
	if depth > 0 {
		switch rng.IntN(5) {
		case 0:
			return "not (" + randomFilter(rng, spans, depth-1) + ")"
		case 1, 2:
			return "(" + randomFilter(rng, spans, depth-1) + pick(rng, " and ", " or ") + randomFilter(rng, spans, depth-1) + ")"
		}
	}
	key := visibility.KeyOf(&spans[rng.IntN(len(spans))])
	switch d := visibility.Dimension(rng.IntN(visibility.NumDimensions)); d {
	case visibility.Status:
		return pick(rng, "status >= 500", "status < 400", "status != 200", "status = 5xx", "status in (200, 4xx)", "status > 199.5", "status not in (503)")
	case visibility.ErrorFlag:
		return "error " + pick(rng, "=", "!=") + " " + pick(rng, "true", "FALSE")
	case visibility.Kind:
		return "kind " + pick(rng, "=", "!=") + " " + pick(rng, "server", "Client", "internal")
	case visibility.Source, visibility.Destination, visibility.Service:
		name := pick(rng, append(slices.Clone(meshServices), visibility.External, visibility.Unknown, "nobody")...)
		name = pick(rng, name, strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), name+".default")
		return d.String() + " " + pick(rng, "=", "!=") + " " + strconv.Quote(name)
	default:
		return randomText(rng, d, key[d])
	}
}

// randomText compares a text with a value that it may have.
func randomText(rng *rand.Rand, d visibility.Dimension, value string) string {
	if rng.IntN(4) == 0 {
		value = pick(rng, awkward...)
	}
	switch rng.IntN(4) {
	case 0:
		return d.String() + pick(rng, " in (", " not in (") + strconv.Quote(value) + `, "GET", ` + strconv.Quote(pick(rng, awkward...)) + ")"
	case 1:
		pattern := pick(rng, `^http://[^/]+/item/[0-2]$`, "(?i)CHROME|^$", `\bitem\b`, `[[:alpha:]]+\d`, ".", `(?s)a.*b`, `\x00|\n`, `(?m)^feed$`,
			"[^a-z]$", `\pL{3,}'?s?`, "(?i)straſe|GRÖSSE|größe", `(a|b)*c{0,2}\\`)
		return d.String() + pick(rng, " ~ ", " !~ ") + strconv.Quote(pattern)
	default:
		return d.String() + pick(rng, " = ", " != ") + strconv.Quote(value)
	}
}
