package builtin_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/builtin"
	"github.com/opnfv/clover/jmeter/runnertest"
)

// raw answers every connection's requests with the same bytes; "" closes it.
func raw(t *testing.T, answer string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for answer != "" {
			if _, err := conn.Write([]byte(answer)); err != nil {
				return
			}
			q, err := http.ReadRequest(buffered.Reader)
			if err != nil {
				return
			}
			q.Body.Close()
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestLeftovers holds that what a server sends after its answer is not taken
// for the next one.
func TestLeftovers(t *testing.T) {
	addr := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
	results := runnertest.Run(t, builtin.New(builtin.Options{}), parse(t, "load_spec: {loops: 5}\nurl_list: [{name: a, url: ADDR}]", addr), jmeter.RunOptions{})
	if results.All.Count != 5 || results.All.Codes["200"] != 5 {
		t.Errorf("%d results, %v", results.All.Count, results.All.Codes)
	}
}

// TestReasonsAreFew holds that failures of one kind are counted together.
func TestReasonsAreFew(t *testing.T) {
	addr := raw(t, "")
	results := runnertest.Run(t, builtin.New(builtin.Options{}), parse(t, "load_spec: {loops: 5}\nurl_list: [{name: a, url: ADDR, body: "+strings.Repeat("x", 1<<10)+"}]", addr), jmeter.RunOptions{})
	if results.All.Errors != 5 {
		t.Errorf("%d errors", results.All.Errors)
	}
	for why := range results.All.Failures {
		if strings.Contains(why, "->") {
			t.Errorf("%q names the client's port", why)
		}
	}
}

// TestLongCompressedBody holds that a body of which only a part is kept is no
// fault.
func TestLongCompressedBody(t *testing.T) {
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	fmt.Fprintf(w, "begin %s", noise)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer server.Close()
	plan := parse(t, "url_list: [{name: a, url: ADDR, assert: [{body_contains: begin}]}]", server.URL)
	results := runnertest.Run(t, builtin.New(builtin.Options{MaxBodyBytes: 16 << 10}), plan, jmeter.RunOptions{})
	if results.All.Errors != 0 {
		t.Errorf("%v", results.All.Failures)
	}
}

func TestRunID(t *testing.T) {
	plan := parse(t, "url_list: [{name: a, url: ADDR}]", "http://127.0.0.1:1")
	for _, id := range []string{"a\r\nX-Evil: 1", "-x", strings.Repeat("a", 129)} {
		if _, err := builtin.New(builtin.Options{}).Run(t.Context(), plan, jmeter.RunOptions{RunID: id}); !errors.Is(err, jmeter.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestBrokenDataIsNoted holds that users who end because of their data do not
// end in silence.
func TestBrokenDataIsNoted(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	plan := parse(t, "data: [{file: d.csv, variables: [a]}]\nurl_list: [{name: a, url: ADDR/d/a}]", server.URL)
	_, outcome, err := jmeter.Run(t.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{Dir: dir}, jmeter.Watch{})
	if err != nil || len(outcome.Notes) != 1 || !strings.Contains(outcome.Notes[0], "d.csv") {
		t.Errorf("%q, %v", outcome.Notes, err)
	}
}

// TestSentAgain has a server close each connection after its first answer,
// without a word: what may be sent twice is, and that is said.
func TestSentAgain(t *testing.T) {
	var mu sync.Mutex
	arrived := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		arrived[q.Method]++
		mu.Unlock()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) // who is not there has it not
		conn.Close()
	}))
	defer server.Close()
	run := func(method string) (*jmeter.Results, jmeter.Outcome) {
		plan := parse(t, "load_spec: {loops: 4}\nurl_list: [{name: a, url: ADDR, method: "+method+", think_time: 30ms}]", server.URL)
		results, outcome, err := jmeter.Run(t.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{}, jmeter.Watch{})
		if err != nil {
			t.Fatal(err)
		}
		return results, outcome
	}
	if results, outcome := run("GET"); results.All.Errors != 0 || len(outcome.Notes) != 1 || !strings.Contains(outcome.Notes[0], "3 requests were sent again") {
		t.Errorf("%d errors, %q", results.All.Errors, outcome.Notes)
	}
	if results, outcome := run("POST"); results.All.Errors == 0 || len(outcome.Notes) != 0 || arrived["POST"]+int(results.All.Errors) != 4 {
		t.Errorf("%d errors, %d have arrived, %q", results.All.Errors, arrived["POST"], outcome.Notes)
	}
}

// TestIterationsOfNothing holds that users whose controllers let nothing
// through do not take the processor.
func TestIterationsOfNothing(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	plan := parse(t, "load_spec: {loops: 0, duration: 3}\nurl_list: [{once: true, url_list: [{name: a, url: ADDR/idle/a}]}]", server.URL)
	results, outcome, err := jmeter.Run(t.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{}, jmeter.Watch{})
	if err != nil || results.All.Count != 1 || len(outcome.Notes) != 1 || !strings.Contains(outcome.Notes[0], "have made no request") {
		t.Errorf("%d results, %q, %v", results.All.Count, outcome.Notes, err)
	}
}

// TestMissedIsACriterion has a server that is too slow for a rate.
func TestMissedIsACriterion(t *testing.T) {
	server := httptest.NewServer(&runnertest.Recorder{})
	defer server.Close()
	plan := parse(t, "load_spec: {rate: 100, duration: 1, max_threads: 2}\nurl_list: [{name: a, url: ADDR/missed/slow}]", server.URL)
	results, _, err := jmeter.Run(t.Context(), builtin.New(builtin.Options{}), plan, jmeter.RunOptions{}, jmeter.Watch{})
	if err != nil || results.Missed == 0 || results.Begun != results.All.Count || results.Missed+results.Begun != 100 {
		t.Errorf("%d missed, %d begun, %v", results.Missed, results.Begun, err)
	}
	verdicts, err := results.Judge([]string{"missed < 1%", "missed == 0", "missed > 50%"})
	if err != nil || verdicts[0].Pass || verdicts[1].Pass || !verdicts[2].Pass {
		t.Errorf("%+v, %v", verdicts, err)
	}
	if _, err := jmeter.ParseCriterion("missed(a) < 1%"); !errors.Is(err, jmeter.ErrInvalid) {
		t.Error(err)
	}
}
