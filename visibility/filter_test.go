package visibility_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func ExampleParseFilter() {
	f, err := visibility.ParseFilter(`status = 5xx and service = http_lb and not url ~ "/healthz$"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f)
	fmt.Println(f.MatchSpan(&tracing.Span{Service: "http-lb.default", StatusCode: 503, URL: "http://http-lb:9180/"}))
	_, err = visibility.ParseFilter("statuss >= 500")
	fmt.Println(err)
	// Output:
	// status = "5xx" and service = "http_lb" and not url ~ "/healthz$"
	// true
	// filter: column 1: "statuss" is not a field; did you mean status?
}

func span() *tracing.Span {
	s := tracing.NewSpan()
	s.Service, s.Kind, s.StatusCode, s.Method = "http-lb.default", tracing.KindServer, 503, "GET"
	s.URL, s.UserAgent, s.Duration = "http://http-lb:9180/item/7", "curl/8", 250*time.Millisecond
	s.TraceID[15] = 10
	s.RequestSize, s.Error, s.UpstreamCluster = 10, true, "inbound|9180||"
	s.Attributes = []tracing.Attribute{{Key: "istio.mesh_id", Value: "cluster.local"}}
	return &s
}

func TestFilterMatches(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                     true,
		"status >= 500":                        true,
		"status < 500":                         false,
		"status = 5xx":                         true,
		"status != 5XX":                        false,
		"status in (500, 503)":                 true,
		"status not in (500, 503)":             false,
		"service = http_lb":                    true,
		"service = http-lb.other":              false,
		"SERVICE = 'http-lb'":                  true,
		"url ~ '/item/[0-9]+$'":                true,
		"url !~ '/item/[0-9]+$'":               false,
		`user-agent = "curl/8"`:                true,
		"duration > 200ms":                     true,
		"duration >= 0.25":                     true,
		"duration = 250ms":                     true,
		"duration > 1s":                        false,
		"method = get && error = true":         true,
		"method = post || kind = SERVER":       true,
		"!(method = get)":                      false,
		"not method = get or error = true":     true,
		"not (method = get or error=true)":     false,
		`tag["istio.mesh_id"] = cluster.local`: true,
		`tag["absent"] = x`:                    false,
		`tag["absent"] != x`:                   true,
		"request_size = 10":                    true,
		"response_size > 0":                    false, // not known
		"upstream_cluster ~ '^inbound'":        true,
		"version = v1":                         false,
		"version != v1":                        true,
		"version in (v1)":                      false,
		"version not in (v1)":                  true,
		"not version in (v1)":                  true,
		"status in (4xx, 5xx)":                 true,
		"not not status = 503":                 true,
		"trace_id = 0000A":                     true,
		"trace = b":                            false,
		"mirrored = FALSE":                     true,
		"source = http-lb":                     false, // not known from the span
		"dst = http-lb":                        true,
	} {
		f, err := visibility.ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.MatchSpan(span()); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		key := visibility.KeyOf(span())
		if len(f.SpanOnly()) == 0 && f.MatchKey(&key, visibility.CountSpans, visibility.RoleServer) != want {
			t.Errorf("%s: the row's answer differs from the span's", text)
		}
		again, err := visibility.ParseFilter(f.String())
		if err != nil || again.String() != f.String() {
			t.Errorf("%s: printed as %s, which reads as %s, %v", text, f, again, err)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for text, want := range map[string]string{
		"status":           "column 7: want an operator after status",
		"status >=":        "column 10: want a value for status",
		"status >= many":   "column 11: status >= needs a number, not \"many\"",
		"url > 5":          "column 5: url has no order",
		"url ~ '('":        "column 7: \"(\" is not a regular expression",
		"(status = 500":    `column 14: want ")"`,
		"status = 500)":    "column 13: \")\" is not expected here",
		"nonsense = 1":     "column 1: \"nonsense\" is not a field; want one of ",
		"usr_agent = x":    "did you mean user_agent?",
		`service = "x`:     "column 11: the string that begins here has no closing",
		"status = 1 and":   "column 15: the expression ends here",
		"tag = x":          `want "["`,
		"status not = 5":   `want "in" after status not`,
		"duration > soon":  "a duration such as 250ms",
		"; drop":           "column 1:",
		"status = 5x":      `column 10: status is never "5x"; want a status such as 503 or a class such as 5xx`,
		"error != yes":     "want true or false",
		"kind in (sevrer)": "want server, client",
		"duration = soon":  "want a duration such as 250ms",
		"trace_id = xyz":   "hexadecimal digits",
		"status=1 & a=1":   `"&" is not expected here; want "&&"`,
		"url = 'ü' é = 1":  "column 11: \"é\" is not expected here; want and, or, or the end",
		"operation = \"" + strings.Repeat("\xff", 2000) + `"`:          "bytes long when written out",
		strings.Repeat("(", 60) + "status=1" + strings.Repeat(")", 60): "nested deeper",
		strings.Repeat("status=1 or ", 400) + "status=1":               "bytes long",
	} {
		_, err := visibility.ParseFilter(text)
		if !errors.Is(err, visibility.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v\nwant ErrInvalid with %q", text, err, want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{"status >= 500 and url ~ 'x'", `tag["a"] in (1, "b")`, "not (a or b)", "duration>1s&&!error=true"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := visibility.ParseFilter(text)
		if err != nil {
			if !errors.Is(err, visibility.ErrInvalid) {
				t.Fatalf("%q: %v does not match ErrInvalid", text, err)
			}
			return
		}
		again, err := visibility.ParseFilter(filter.String())
		if err != nil || again.String() != filter.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", text, filter, again, err)
		}
		key := visibility.KeyOf(span())
		if filter.MatchSpan(span()) != again.MatchSpan(span()) ||
			filter.MatchKey(&key, visibility.CountRequests, visibility.RoleServer) != again.MatchKey(&key, visibility.CountRequests, visibility.RoleServer) {
			t.Fatalf("%q and %q match differently", text, again)
		}
	})
}

// TestFilterPrintsWhatItReads holds that a filter at the limits of the
// language does not go beyond them when it is printed.
func TestFilterPrintsWhatItReads(t *testing.T) {
	deep := strings.Repeat("(status=1 or ", 48) + "(not status=2 and url not in (a))" + strings.Repeat(")", 48)
	wide := strings.Repeat("op=1 or ", 150) + "op=1"
	for _, text := range []string{deep, wide} {
		f, err := visibility.ParseFilter(text)
		if err != nil {
			t.Fatalf("%.60s: %v", text, err)
		}
		if again, err := visibility.ParseFilter(f.String()); err != nil || again.String() != f.String() {
			t.Errorf("%.60s… prints as %s: %v", text, f, err)
		}
	}
}

func BenchmarkFilterMatchKey(b *testing.B) {
	f, err := visibility.ParseFilter(`status >= 500 and service in (http-lb, proxy) and not url ~ "^http://healthz"`)
	if err != nil {
		b.Fatal(err)
	}
	key := visibility.KeyOf(span())
	b.ReportAllocs()
	for b.Loop() {
		if !f.MatchKey(&key, visibility.CountRequests, visibility.RoleServer) {
			b.Fatal("no match")
		}
	}
}
