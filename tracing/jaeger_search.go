package tracing

import (
	"context"
	"errors"
	"iter"
	"math"
	"time"
)

const (
	opSearch = "search traces"

	// jaegerRowsPerTrace is how many rows of its index Cassandra's storage
	// reads for each trace that is asked for (limitMultiple in Jaeger's
	// internal/storage/v1/cassandra/spanstore/reader.go). There is one row a
	// span, so that it may find fewer traces than asked for and than exist.
	jaegerRowsPerTrace = 3

	// jaegerGiantParts bounds the work that a trace larger than
	// MaxResponseBytes makes: a search is not cut finer than this for it.
	jaegerGiantParts = 64

	// jaegerDepthMessage is what the memory storage of Jaeger 2 says when
	// asked for more traces than it is made to hold.
	jaegerDepthMessage = "search depth must be"
)

var (
	errDepth = errors.New("more traces asked for than Jaeger holds")
	errRange = errors.New("want From before To, both between 1970 and 2262")
)

// SearchQuery says which traces to find: those with a span that matches all
// of it. Traces come whole, with the spans of other services and times.
type SearchQuery struct {
	Service   string            // needed
	Operation string            // "": any
	Tags      map[string]string // attributes of the span, its resource or its events

	// From and To bound the start of the span. They are widened to whole
	// microseconds. Both are needed.
	From, To time.Time
	// MinDuration and MaxDuration of the span. 0: any. Jaeger's Cassandra
	// storage does not keep to From and To, Operation or Tags for them.
	MinDuration, MaxDuration time.Duration
}

// jaegerQuery is one request.
type jaegerQuery struct {
	SearchQuery
	limit int // most traces
}

// Page is a part of a search: the traces of one window of time.
type Page struct {
	// Spans of the traces found, in no order. A trace whose spans lie in
	// several windows is in each page of them; spans that were reported to
	// Jaeger twice may be there twice.
	Spans []Span
	// Rejected counts spans that are not valid, see [FromOTLP].
	Rejected []Rejection
	// From and To are the window. A page begins where the last one ended.
	From, To time.Time
	// Traces and Requests count the traces found and the requests it took.
	Traces, Requests int
	// Truncated is set when Jaeger has, or may have, more traces in the
	// window than it would tell, and Reason says why.
	Truncated bool
	Reason    string
}

// The reasons for which a [Page] is truncated.
const (
	// TruncatedInstant: more than MaxTraces traces in one microsecond (over
	// the legacy API, which asks less finely, there or right beside it).
	TruncatedInstant = "more traces in a microsecond than one answer may have"
	// TruncatedBytes: one trace is larger than MaxResponseBytes. The page has
	// the part of it that came first.
	TruncatedBytes = "a trace is larger than one answer may be"
	// TruncatedWindow: no trace of a full answer is of the window asked for,
	// so that a smaller window would not help.
	TruncatedWindow = "the answer does not keep to the time asked for"
)

// Search finds traces, oldest window first, so that all before Page.To has
// been seen. It holds one page in memory. An error ends it.
//
// Jaeger's search has no pages: it answers with up to as many traces as asked
// for, in no certain order. When an answer is that long the window is halved
// and asked for again; it grows again where less is found. What fills an
// answer within one microsecond is asked for in larger numbers up to
// MaxTraces; if that is not enough either, the page is marked Truncated.
func (j *Jaeger) Search(ctx context.Context, q SearchQuery) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		if err := q.validate(); err != nil {
			yield(Page{}, err)
			return
		}
		p, err := j.Detect(ctx)
		if err != nil {
			yield(Page{}, err)
			return
		}
		s := newSearcher(j, j.api(p), q)
		for s.from < s.to {
			page, err := s.next(ctx)
			if err != nil {
				j.forget(err)
				yield(Page{}, err)
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (q *SearchQuery) validate() error {
	fail := func(target string, err error) error {
		return &Error{Op: opSearch, Target: target, Kind: ErrorInvalid, Err: err}
	}
	latest := time.Unix(0, math.MaxInt64).Add(-time.Hour)
	switch {
	case q.Service == "":
		return fail("Service", errNoService)
	case q.From.Unix() < 1 || !q.From.Before(q.To) || q.To.After(latest):
		return fail("From, To", errRange)
	case q.MinDuration < 0 || q.MaxDuration < 0:
		return fail("MinDuration, MaxDuration", errors.New("negative"))
	case q.MaxDuration > 0 && q.MinDuration > q.MaxDuration:
		return fail("MinDuration", errors.New("more than MaxDuration"))
	}
	return nil
}

// searcher walks over the time of a search. Times are in microseconds: this
// is how finely Jaeger's storages on disk index spans, whatever the API.
type searcher struct {
	j       *Jaeger
	api     jaegerAPI
	query   SearchQuery
	service string // as spans name it
	coarse  bool   // the API cannot ask for less than two microseconds

	from, to int64 // what is left
	floor    int64 // smallest window for a trace that is too large
	step     int64 // size of the next window

	// Of the window that is being asked for:
	limit   int  // traces to ask for
	ceiling int  // most traces that can be asked for
	exact   bool // ask for just the window, without margins
}

func newSearcher(j *Jaeger, api jaegerAPI, q SearchQuery) *searcher {
	s := &searcher{j: j, api: api, query: q, service: q.Service, from: q.From.UnixMicro(), to: q.To.UnixMicro()}
	if q.Service == jaegerNoService {
		s.service = ""
	}
	_, legacy := api.(jaegerLegacy)
	_, v3HTTP := api.(jaegerV3HTTP)
	s.coarse = legacy || v3HTTP && len(q.Tags) > 0
	if q.To.Nanosecond()%1000 != 0 {
		s.to++
	}
	s.step = s.to - s.from
	s.floor = max(1, s.step/jaegerGiantParts)
	s.limit = j.opt.PageLimit
	s.begin()
	return s
}

// begin prepares the next window.
func (s *searcher) begin() {
	s.ceiling, s.exact = s.j.maxDepth(), false
	s.limit = min(s.limit, s.j.opt.PageLimit, s.ceiling)
}

func (s *searcher) end() int64 { return min(s.from+s.step, s.to) }

// next finds the next page.
func (s *searcher) next(ctx context.Context) (Page, error) {
	for requests := 1; ; requests++ {
		answer, err := s.ask(ctx)
		done, reason, err := s.decide(answer, err)
		if err != nil {
			return Page{}, err
		}
		if !done {
			continue
		}
		page := Page{
			Spans: answer.spans, Rejected: answer.rejected,
			From: time.UnixMicro(s.from).UTC(), To: time.UnixMicro(s.end()).UTC(),
			Traces: len(answer.traces), Requests: requests,
			Truncated: reason != "", Reason: reason,
		}
		s.advance(page.Traces)
		return page, nil
	}
}

// decide tells whether an answer is all there is of a window, and why it may
// not be. If the window is not done, it or the limit was changed for the next
// request.
func (s *searcher) decide(answer *jaegerAnswer, err error) (done bool, reason string, _ error) {
	switch {
	case errors.Is(err, errDepth) && s.limit > 1:
		s.limit = s.j.lowerDepth(s.limit)
		s.ceiling = min(s.ceiling, s.limit)
		return false, "", nil
	case errors.Is(err, errTooLarge):
		done, reason = s.tooLarge(len(answer.traces))
		return done, reason, nil
	case err != nil:
		return false, "", err
	}
	done, reason = s.judge(answer)
	return done, reason, nil
}

// ask asks for the present window. Cassandra's storage takes both ends of it
// as exclusive, others as inclusive, and the API's definition the end only;
// so the start goes a microsecond back, unless just this window is wanted.
func (s *searcher) ask(ctx context.Context) (*jaegerAnswer, error) {
	q := jaegerQuery{SearchQuery: s.query, limit: s.limit}
	q.From = time.UnixMicro(s.from - 1)
	q.To = time.UnixMicro(s.end())
	if s.exact {
		q.From = time.UnixMicro(s.from)
		q.To = q.To.Add(-1)
	}
	answer := &jaegerAnswer{}
	return answer, s.api.search(ctx, q, answer)
}

// judge does what decide says for an answer that arrived whole.
func (s *searcher) judge(answer *jaegerAnswer) (done bool, reason string) {
	traces, matching := len(answer.traces), 0
	for i := range answer.spans {
		if inside, atMargin := s.matches(&answer.spans[i]); inside || atMargin {
			matching++
		}
	}
	switch {
	case traces >= s.limit && matching == 0:
		return true, TruncatedWindow
	case traces >= s.limit:
	case matching < jaegerRowsPerTrace*s.limit:
		return true, ""
	default:
		// Few traces with many spans: too many for Cassandra alone. Asking
		// for as many as there are spans settles it.
		if enough := matching/jaegerRowsPerTrace + 1; enough <= s.ceiling {
			s.limit = enough
			return false, ""
		}
	}
	switch {
	case s.end()-s.from > 1:
		s.step = (s.end() - s.from) / 2
	case !s.exact && !s.coarse && s.anyOfMargin(answer):
		s.exact = true
	case s.limit < s.ceiling:
		s.limit = min(2*s.limit, s.ceiling)
	default:
		return true, TruncatedInstant
	}
	return false, ""
}

// matches reports whether a span makes its trace match by starting in the
// window, or at the margins which some storages include.
func (s *searcher) matches(span *Span) (inside, atMargin bool) {
	if span.Service != s.service || s.query.Operation != "" && span.Operation != s.query.Operation {
		return false, false
	}
	start := span.Start.UnixMicro()
	return start >= s.from && start < s.end(), start == s.from-1 || start == s.end()
}

// anyOfMargin reports whether a trace was delivered for a span at the margins
// only: then the storage takes the ends of a window as inclusive.
func (s *searcher) anyOfMargin(answer *jaegerAnswer) bool {
	isInside := map[TraceID]bool{}
	for i := range answer.spans {
		span := &answer.spans[i]
		if inside, atMargin := s.matches(span); inside || atMargin {
			isInside[span.TraceID] = isInside[span.TraceID] || inside
		}
	}
	for _, inside := range isInside {
		if !inside {
			return true
		}
	}
	return false
}

// tooLarge deals with an answer of more than MaxResponseBytes, of which so
// many traces were read: first fewer traces, then a smaller window.
func (s *searcher) tooLarge(traces int) (done bool, reason string) {
	if s.limit > 1 {
		s.limit = max(1, min(s.limit, traces)/2)
		s.ceiling = s.limit
		return false, ""
	}
	if width := s.end() - s.from; width > s.floor {
		s.step = max(s.floor, width/2)
		s.ceiling = 1
		return false, ""
	}
	return true, TruncatedBytes
}

// advance goes to the next window, which is larger if this one had little.
func (s *searcher) advance(traces int) {
	s.from = s.end()
	if traces < s.limit/4 || traces == 0 {
		s.step = min(2*s.step, s.to)
	}
	s.limit = max(2*s.limit, 2)
	s.begin()
}

// maxDepth is the most traces to ask for.
func (j *Jaeger) maxDepth() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.depth > 0 {
		return min(j.depth, j.opt.MaxTraces)
	}
	return j.opt.MaxTraces
}

// lowerDepth notes that Jaeger does not answer for limit traces, and returns
// how many to try.
func (j *Jaeger) lowerDepth(limit int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.depth = max(1, limit/2)
	return j.depth
}
