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
