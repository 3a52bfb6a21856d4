package jmeter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/opnfv/clover/jmeter"
)

// ok makes a plan of what is about something else.
const ok = "\nurl_list: [{name: a, url: http://a/}]"

// faults are files with what is said of each.
var faults = map[string]string{
	"":                                                                            "empty; want load_spec and url_list",
	"[1]":                                                                         "line 1, column 1: a list; want keys",
	"load_spec: {num_threads: 1000000}" + ok:                                      "line 1, column 26: load_spec.num_threads: 1000000; want 1 to 100000",
	"load_spec: {num_threads: x}" + ok:                                            `line 1, column 26: load_spec.num_threads: "x"; want a whole number`,
	"load_spec: {num_threads: [1]}" + ok:                                          "load_spec.num_threads: a list; want a whole number",
	"load_spec: {loops: 0}" + ok:                                                  "line 1, column 20: load_spec.loops: 0 is for ever, and there is no duration",
	"load_spec: {loops: -1}" + ok:                                                 "load_spec.loops: -1; want 1 or more",
	"load_spec: {threads: 1}" + ok:                                                "line 1, column 13: load_spec.threads: unknown key; want one of num_threads",
	"load_spec: {ramp: 1}" + ok:                                                   "did you mean ramp_time?",
	"load_spec: {duration: -3}" + ok:                                              "load_spec.duration: \"-3\"; want",
	"load_spec: {rate: 5}" + ok:                                                   "load_spec.duration: missing; rate needs it",
	"load_spec: {rate: 5, num_threads: 1}" + ok:                                   "given beside rate",
	"load_spec: {rate: .nan, duration: 1}" + ok:                                   "load_spec.rate: \".nan\"; want a number",
	"load_spec: {rate: NaN, duration: 1}" + ok:                                    "load_spec.rate: NaN; want more than 0",
	"load_spec: {hold: 5, duration: 9}" + ok:                                      "given beside duration",
	"load_spec: {max_threads: 5}" + ok:                                            "only with rate",
	"load_spec: {num_threads: 1, num-threads: 2}":                                 "given twice; first on line 1",
	"url_list: [{name: a}]":                                                       "line 1, column 12: url_list[0].url: missing",
	"url_list: [{url: 'ftp://a'}]":                                                "line 1, column 18: url_list[0].url: scheme \"ftp\"; want http or https",
	"url_list: [{url: 'http://'}]":                                                "no host",
	"url_list: [{url: 'http://a:99999/'}]":                                        `port "99999"; want 1 to 65535`,
	"url_list: [{url: 'http://u:p@a/'}]":                                          "want the key basic_auth",
	"url_list: [{url: 'http://${__groovy(1)}/'}]":                                 "has characters that no host's name has",
	"url_list: [{url: a, method: FETCH}]":                                         `url_list[0].method: "FETCH"; want one of GET`,
	"url_list: [{url: a, method: GET, body: x}]":                                  "GET has no body",
	"url_list: [{url: a, body: x, form: {a: b}}]":                                 "a second body",
	"url_list: [{url: a, grpc: x}]":                                               "gRPC is not part of a plan",
	"url_list: [{url: a, headers: {'a b': x}}]":                                   "is no name of a header",
	"url_list: [{url: a, headers: {a: \"x\\r\\nb: c\"}}]":                         "a line break; want one line",
	"url_list: [{url: a, headers: {Content-Length: 5}}]":                          "is set from the body",
	"url_list: [{url: a, body: \"\\x01\"}]":                                       "a control character",
	"url_list: [{url: a, bearer: x, basic_auth: {user: a}}]":                      "more than one of",
	"url_list: [{url: a, extract: [{variable: a}]}]":                              "want one of json, regexp, header, boundary",
	"url_list: [{url: a, extract: [{variable: 'a b', header: x}]}]":               "url_list[0].extract[0].variable: \"a b\"; want a name",
	"url_list: [{url: a, extract: [{variable: a, regexp: x}]}]":                   "no group",
	"url_list: [{url: a, extract: [{variable: a, regexp: '('}]}]":                 "missing closing )",
	"url_list: [{url: a, extract: [{variable: a, json: '$..x'}]}]":                "not known from",
	"url_list: [{url: a, assert: [{status: 2xx}]}]":                               `"2xx"; want a number such as 200`,
	"url_list: [{if: {variable: a}, url_list: [{url: a}]}]":                       "want one of equals, not_equals, matches, set",
	"url_list: [{if: {variable: a, equals: x, set: true}, url_list: [{url: a}]}]": "equals and set; want one of them",
	"url_list: [{loop: 0, url_list: [{url: a}]}]":                                 "url_list[0].loop: 0; want 1",
	"url_list: [{once: true}]":                                                    "url_list[0].url_list: empty",
	"url_list: [{throughput: {percent: 120}, url_list: [{url: a}]}]":              "want a percent of 0 to 100",
	"groups: [{url_list: [{url: a}]}]\nload_spec: {loops: 1}":                     "line 2, column 12: load_spec: given beside groups",
	"groups: []":                            "no group",
	"url_list: []":                          "line 1, column 11: url_list: empty",
	"criteria: ['speed > 3']" + ok:          "line 1, column 12: criteria[0]:",
	"variables: {'a b': 1}" + ok:            "want a name of letters",
	"tls: {ca_file: x}" + ok:                "without verify: true it would not be used",
	"data: [{variables: [a]}]" + ok:         "data[0].file: missing",
	"data: [{file: a, delimiter: ab}]" + ok: `"ab"; want one character`,
	"a: &x 1\nb: *x":                        "unknown key",
	"url_list: [{url: a, body: '" + strings.Repeat("x", 11<<20) + "'}]": "bytes; at most",
	strings.Repeat("- ", 500): "nested too deeply",
}

// TestFaults holds that each fault is told with its place and a remedy.
func TestFaults(t *testing.T) {
	for text, want := range faults {
		_, err := jmeter.ParsePlan([]byte(text))
		var fault *jmeter.PlanError
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, jmeter.ErrInvalid) || !errors.As(err, &fault) {
			t.Errorf("%.80q: %v, want %q", text, err, want)
		}
	}
}

// FuzzParsePlan holds that every plan that is taken is written as XML that is
// read as the same plan, and that no text of it can mean anything else.
func FuzzParsePlan(f *testing.F) {
	f.Add([]byte("load_spec: {num_threads: 5, loops: 2}\nurl_list: [{name: '${__groovy(1)}', url: 'http://a/${b}?c=<d>', headers: {x: '\\${y} ${'}}]"))
	f.Add([]byte("groups: [{name: ']]>', load_spec: {rate: 3, duration: 5}, url_list: [{if: {variable: a, equals: '\"'}, url_list: [{url: a, form: {k: '&'}}]}]}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := jmeter.ParsePlan(data)
		if err != nil {
			if !errors.Is(err, jmeter.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		first, err := plan.JMX()
		if err != nil {
			t.Fatal(err)
		}
		if !plan.Functions {
			for _, s := range jmeter.Calls(first) {
				t.Errorf("a call of a function: %q", s)
			}
		}
		read, err := jmeter.ReadJMX(first)
		if err != nil {
			t.Fatal(err)
		}
		// Without its origin everything is written from the values.
		second, err := read.Detached().JMX()
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if string(first) != string(second) {
			t.Errorf("read and written again it differs:\n%s\n%s", first, second)
		}
	})
}

// FuzzReadJMX holds that what is read is written back with the same tree.
func FuzzReadJMX(f *testing.F) {
	f.Add([]byte(`<jmeterTestPlan version="1.2"><hashTree><TestPlan testname="a"/><hashTree><ThreadGroup enabled="false"/><hashTree/></hashTree></hashTree></jmeterTestPlan>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := jmeter.ReadJMX(data)
		if err != nil {
			if !errors.Is(err, jmeter.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		out, err := plan.JMX()
		if err != nil {
			return // a text that no file can hold
		}
		if same, err := jmeter.SamePlan(data, out); err != nil || !same {
			t.Errorf("lost something (%v):\n%s\n%s", err, data, out)
		}
	})
}
