package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// answering is a controller that gives constructed answers, by path below
// /api/v1/visibility/.
func answering(t *testing.T, answers map[string]string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[strings.TrimPrefix(r.URL.Path, "/api/v1/visibility/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = `{"code":5,"message":"not here: ` + r.URL.Path + `"}`
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		srv.Close()
	})
	return srv.URL
}

// lacking is the completeness of an answer from which something is missing.
const lacking = `"completeness":{"open":"12","notes":[{"code":"truncated","source":"jaeger","count":"3","detail":"3 traces truncated"}]}`

func TestEachAnswerSaysWhatItLacks(t *testing.T) {
	address := answering(t, map[string]string{
		"stats": `{"group_by":["service"],"groups":[{"values":["web"],"stats":{"count":"1"}}],` + lacking + `}`,
		"graph": `{` + lacking + `}`, "heatmap": `{` + lacking + `}`, "movers": `{` + lacking + `}`, "ledger": `{` + lacking + `}`, "metrics": `{` + lacking + `}`,
		"status": `{` + lacking + `}`, "values/url": `{"rest_values":7,` + lacking + `}`, "summary": `{` + lacking + `}`,
		"config": `{}`, "traces": `{` + lacking + `}`, "traces/1": `{"spans":[{"service":"web"}],` + lacking + `}`,
	})
	for _, args := range []string{"stats", "graph", "heatmap", "movers", "ledger", "metrics", "status", "urls", "traces", "trace 1", ""} {
		code, out, errs := ctl(t, "", append([]string{"--controller", address, "get", "visibility"}, strings.Fields(args)...)...)
		if want := "! jaeger: 3 traces truncated\n! 12 requests wait for their other side\n"; code != 0 || !strings.HasSuffix(out, want) {
			t.Errorf("%s: exit %d, want %q at the end of\n%s%s", args, code, want, out, errs)
		}
	}
	if _, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "urls"); !strings.Contains(out, "! 7 more values") {
		t.Errorf("values beyond the limit are not told:\n%s", out)
	}
}

func TestStatusNamesEachPart(t *testing.T) {
	address := answering(t, map[string]string{"status": `{"version":"v9","collector_id":"44","collecting":true,
		"store":{"name":"embedded","spans":"9","bytes_on_disk":"1048576"},
		"ingest":{"spans":"20","deliveries":"3","in_flight":1,"failures":"2","dropped":"4"},
		"sources":[{"name":"jaeger","kind":"traces","target":"http://j","state":"backing_off","error":"refused","lag":"3s"},
			{"name":"prometheus","kind":"metrics","target":"http://p","state":"ok","missing":["envoy_x","envoy_y"]}]}`})
	_, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "status")
	for _, want := range []string{
		"collector 44  ", "1.0 MiB", "20 spans in 3 deliveries, 1 waiting, 2 refused, 4 spans dropped",
		"backing_off  3s   http://j: refused", "! prometheus: 2 metrics have no value now: envoy_x, envoy_y",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func TestLongListsHavePages(t *testing.T) {
	address := answering(t, map[string]string{
		"ledger":  `{"entries":[{"source":"otlp/grpc","service":"web","seen":"1","kept":"1"}],"next_page_token":"abc"}`,
		"metrics": `{"metrics":[],"next_page_token":""}`,
	})
	if _, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "ledger", "--limit", "1"); !strings.Contains(out, "! more rows: add --page abc") {
		t.Errorf("the next page is not told:\n%s", out)
	}
	if _, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "metrics"); strings.Contains(out, "--page") {
		t.Errorf("a next page that is not there:\n%s", out)
	}
}

func TestBothAnswersAreOneObject(t *testing.T) {
	config, summary := `{"services":["web"]}`, `{"trace_count":"3","completeness":{"complete":true}}`
	address := answering(t, map[string]string{"config": `{"config":` + config + `}`, "summary": summary})
	_, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "-o", "json")
	var got bytes.Buffer
	if err := json.Compact(&got, []byte(out)); err != nil {
		t.Fatal(err)
	}
	if want := `{"config":` + config + `,"summary":` + summary + `}`; got.String() != want {
		t.Errorf("%s, want %s", got.String(), want)
	}
	if _, out, _ = ctl(t, "", "--controller", address, "get", "visibility", "-o", "csv"); !strings.HasPrefix(out, "statistic,key,value\nconfig,services,web\n") {
		t.Errorf("CSV\n%s", out)
	}
}

func TestErrorsAreSafeForTerminals(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"code":13,"message":"from the mesh: \u001b[2J"}`)
	}))
	t.Cleanup(func() { http.DefaultClient.CloseIdleConnections(); srv.Close() })
	code, _, errs := ctl(t, "", "-q", "--controller", srv.URL, "get", "visibility", "status")
	if want := "cloverctl: from the mesh: \\x1b[2J\n"; code != exitFailure || errs != want {
		t.Errorf("exit %d, %q, want %q", code, errs, want)
	}
}

// TestObserveGoesOn loses the stream in three ways before it gives the rest.
func TestObserveGoesOn(t *testing.T) {
	const span = "data: {\"result\":{\"span\":{\"service\":\"web\"}}}\n\n"
	var calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			fmt.Fprint(w, span) // and a clean end
		case 2:
			fmt.Fprint(w, "data: {\"error\":{\"code\":14,\"message\":\"about to end\"}}\n\n")
		case 3:
			fmt.Fprint(w, ": alive\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			fmt.Fprint(w, span, span)
		}
	}))
	defer srv.Close()
	var out, errs testutil.Output
	o := observer{
		app: &app{Streams: Streams{Out: &out, Err: &errs}}, printer: show.Printer{Out: &out},
		follow: true, limit: 3, pause: time.Millisecond,
	}
	err := o.run(t.Context(), &client.Client{Address: srv.URL, HTTP: srv.Client()}, "")
	if err != nil || strings.Count(out.String(), "web") != 3 || calls.Load() != 4 {
		t.Errorf("%v after %d calls\n%s", err, calls.Load(), out.String())
	}
	for _, want := range []string{"the controller ended the stream; connecting again in 1ms", "about to end; ", "does not answer at " + srv.URL} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("want %q in\n%s", want, errs.String())
		}
	}
}

func TestObserveEndsWhereGoingOnIsOfNoUse(t *testing.T) {
	address := answering(t, nil)
	code, out, errs := ctl(t, "", "-q", "--controller", address, "observe", "-f")
	if code != exitNotFound || out != "" || !strings.Contains(errs, "not here") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	address = answering(t, map[string]string{"spans": ""})
	code, _, errs = ctl(t, "", "-q", "--controller", address, "observe")
	if code != exitFailure || !strings.Contains(errs, "after 0 of 10 spans") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// TestFromSource holds that the filters of --source tell Clovisor's spans from
// others.
func TestFromSource(t *testing.T) {
	ours, other := tracing.NewSpan(), tracing.NewSpan()
	ours.Scope, other.Service = kernelScope, "web"
	ours.Service = "web"
	for _, c := range []struct {
		source, filter string
		ours, other    bool
	}{
		{"", "", true, true}, {"kernel", "", true, false}, {"mesh", "", false, true},
		{"kernel", "service = web or service = db", true, false}, {"mesh", "service = db", false, false},
	} {
		text, err := fromSource(c.source, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		f, err := visibility.ParseFilter(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if f.MatchSpan(&ours) != c.ours || f.MatchSpan(&other) != c.other {
			t.Errorf("%s: %v, %v", text, f.MatchSpan(&ours), f.MatchSpan(&other))
		}
	}
	if _, err := fromSource("disk", ""); err == nil {
		t.Error("a source that is not there")
	}
}

func TestInterrupted(t *testing.T) {
	address, hub := controller(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs testutil.Output
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, []string{"-q", "--controller", address, "observe", "-f"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	}()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) { return hub.Stats().Subscribers == 1, errs.String() })
	cancel()
	if code := <-done; code != exitInterrupted || errs.String() != "" {
		t.Errorf("exit %d, %q", code, errs.String())
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]error{"y\n": nil, " YES \n": nil, "n\n": errDeclined, "\n": errDeclined, "": errDeclined, "yep\n": errDeclined} {
		var out bytes.Buffer
		if err := confirm(t.Context(), strings.NewReader(answer), &out, "Remove?"); !errors.Is(err, want) || out.String() != "Remove? [y/N] " {
			t.Errorf("%q: %v, want %v; %q", answer, err, want, out.String())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, never := io.Pipe()
	defer never.Close()
	if err := confirm(ctx, in, io.Discard, "Remove?"); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt at the question: %v", err)
	}
}

// TestEveryCommandExplainsItself holds that a command that does something
// says what, and shows how.
func TestEveryCommandExplainsItself(t *testing.T) {
	root := newApp(Streams{Out: io.Discard, Err: io.Discard}).root()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no description", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  "+c.CommandPath()) {
				t.Errorf("%s: example %q is of another command", c.CommandPath(), line)
			}
		}
		if !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	code, out, _ := ctl(t, "", "--help")
	if code != 0 || !strings.Contains(out, "Exit codes: 0 success") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
