package server_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/internal/testutil"
)

func TestLiveSpansAsEvents(t *testing.T) {
	f := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.rest+"/api/v1/visibility/spans?filter=service%3Ddb&limit=4", nil)
	check(t, err)
	req.Header.Set("Accept", "text/event-stream")
	answered := make(chan *http.Response, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			close(answered)
			return
		}
		answered <- res
	}()
	testutil.Eventually(t, 30*time.Second, func() (bool, string) { return f.hub.Stats().Subscribers > 0, "nobody subscribed" })
	f.hub.Publish(spans())
	res, ok := <-answered
	if !ok {
		return
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	events := 0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct {
			Result struct {
				Span *struct{ Service, URL string }
			}
		}
		check(t, json.Unmarshal([]byte(data), &event))
		if event.Result.Span == nil {
			continue // the sign of life at the start
		}
		if event.Result.Span.Service != "db" {
			t.Errorf("event %s", data)
		}
		events++
	}
	if events != 4 {
		t.Errorf("%d events, want 4", events)
	}
}

// openStream starts a stream of live spans over REST and waits for its first
// event.
func openStream(t *testing.T, rest string) (*http.Response, *bufio.Reader) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rest+"/api/v1/visibility/spans", nil)
	check(t, err)
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	t.Cleanup(func() { res.Body.Close() })
	body := bufio.NewReader(res.Body)
	line, err := body.ReadString('\n')
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %q %v", res.StatusCode, line, err)
	}
	return res, body
}

func TestOpenStreamsLeaveRoomForOtherCalls(t *testing.T) {
	f := start(t)
	rest, _, _ := serveWith(t, f.local, server.Options{MaxStreams: 2})
	first, _ := openStream(t, rest)
	openStream(t, rest)
	code, body := get(t, rest+"/api/v1/visibility/spans")
	refused, _ := body["error"].(map[string]any)
	if message, _ := refused["message"].(string); code != http.StatusTooManyRequests || !strings.Contains(message, "2 streams are open") {
		t.Errorf("the third stream: %d %v", code, body)
	}
	if code, body := get(t, rest+"/api/v1/visibility/status"); code != http.StatusOK {
		t.Errorf("status beside streams: %d %v", code, body)
	}
	first.Body.Close()
	testutil.Eventually(t, 5*time.Second, func() (bool, string) {
		res, err := http.Get(rest + "/api/v1/visibility/spans?limit=-1") // refused by its limit once there is room
		check(t, err)
		res.Body.Close()
		return res.StatusCode == http.StatusBadRequest, res.Status
	})
}

// TestASlowBrowserSlowsNobody leaves an open stream unread while many spans
// are stored: who stores them does not wait, and who reads at last is told how
// many are missing.
func TestASlowBrowserSlowsNobody(t *testing.T) {
	f := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.rest+"/api/v1/visibility/spans", nil)
	check(t, err)
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	defer res.Body.Close()

	const rounds = 20000
	batch := spans()
	published := int64(rounds * len(batch))
	began := time.Now()
	for range rounds {
		f.hub.Publish(batch)
	}
	if took := time.Since(began); took > 5*time.Minute { // it would wait for ever
		t.Errorf("storing %d spans beside the slow browser took %v", published, took)
	}
	if code, body := get(t, f.rest+"/api/v1/visibility/status"); code != http.StatusOK {
		t.Errorf("status beside the slow browser: %d %v", code, body)
	}

	// What was left out is told with the next span, so there have to be some.
	done := make(chan int64)
	go func() {
		more := int64(0)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.hub.Publish(batch[:1])
				more++
			case done <- more:
				return
			}
		}
	}()
	shown, dropped := int64(0), int64(0)
	for lines := bufio.NewScanner(res.Body); shown+dropped < published && lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct {
			Result struct {
				Span    *struct{}
				Dropped int64 `json:",string"`
			}
		}
		check(t, json.Unmarshal([]byte(data), &event))
		if dropped += event.Result.Dropped; event.Result.Span != nil {
			shown++
		}
	}
	more := <-done
	if sum := shown + dropped; dropped == 0 || sum < published || sum > published+more {
		t.Errorf("%d spans shown and %d dropped, of %d to %d", shown, dropped, published, published+more)
	}
}

// TestStreamsEndWithTheServer ends a service and a forwarder under open
// streams: they end as streams do, not as errors, and long before Grace.
func TestStreamsEndWithTheServer(t *testing.T) {
	f := start(t)
	for name, service := range map[string]v1.VisibilityServiceServer{"local": f.local, "forwarder": server.NewForwarder(f.conn, server.ForwarderOptions{})} {
		rest, conn, stop := serveWith(t, service, server.Options{Grace: 10 * time.Minute})
		client := v1.NewVisibilityServiceClient(conn)
		observe, err := client.ObserveSpans(t.Context(), &v1.ObserveSpansRequest{})
		check(t, err)
		_, err = observe.Recv()
		check(t, err)
		watch, err := client.WatchStats(t.Context(), &v1.WatchStatsRequest{})
		check(t, err)
		_, err = watch.Recv()
		check(t, err)
		_, events := openStream(t, rest)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("%s: stopping took %v", name, took)
		}
		if _, err := observe.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: ObserveSpans ended with %v", name, err)
		}
		if _, err := watch.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: WatchStats ended with %v", name, err)
		}
		if rest, err := io.ReadAll(events); err != nil || strings.Contains(string(rest), "error") {
			t.Errorf("%s: events ended with %q, %v", name, rest, err)
		}
	}
}
