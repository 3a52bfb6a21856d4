package export_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
)

// line returns a session as a line, without its end.
func line(t *testing.T, s *session.Session, p export.Place, f export.Format) string {
	t.Helper()
	var out bytes.Buffer
	if err := export.NewLines(&out, export.LineOptions{Format: f}).Write(s, p); err != nil {
		t.Fatal(err)
	}
	text, end := strings.CutSuffix(out.String(), "\n")
	if !end {
		t.Errorf("%q does not end in a newline", text)
	}
	return text
}

// printable holds that nothing of a session reaches a terminal as anything
// but a printable character.
func printable(t *testing.T, s *session.Session) {
	t.Helper()
	for _, f := range []export.Format{export.Text, export.JSON} {
		text := line(t, s, pod, f)
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
		if f == export.JSON && !json.Valid([]byte(text)) {
			t.Errorf("no JSON: %s", text)
		}
	}
}

func TestText(t *testing.T) {
	at := began.Local().Format("15:04:05.000000")
	for _, test := range []struct {
		change func(*session.Session)
		place  export.Place
		want   string
	}{
		{func(*session.Session) {}, pod,
			"  default/web-5d-x             <- 10.0.0.1:44556         HTTP/1.1  200         5ms         92>465  GET http://web:9180/orders/17?x=1"},
		{func(s *session.Session) {
			s.Direction, s.Status, s.Response.BodyBytes = packet.Egress, 503, 1<<25
			s.TCP = session.TCP{Retransmissions: 2, Resets: 1}
		}, export.Place{Workload: "front"},
			"  front                        -> 10.0.0.2:9180          HTTP/1.1  503         5ms         92>32M  GET http://web:9180/orders/17?x=1 [retransmissions 2, resets 1]"},
		{func(s *session.Session) {
			s.Response, s.Status, s.Outcome, s.Request.Truncated, s.TCP.LostBytes = session.Message{}, 0, "no_response", true, 99
		}, export.Place{},
			"  10.0.0.2:9180                <- 10.0.0.1:44556         HTTP/1.1  none        1ms           92>-  GET http://web:9180/orders/17?x=1 [no_response, request truncated, lost bytes 99]"},
		{func(s *session.Session) {
			s.Protocol, s.GRPCService, s.GRPCMethod, s.GRPCStatus, s.Target, s.Method = "gRPC", "a.B", "C", 5, "/a.B/C", "POST"
		}, pod,
			"  default/web-5d-x             <- 10.0.0.1:44556         gRPC      NotFound       5ms         92>465  POST http://web:9180/a.B/C"},
		{func(s *session.Session) {
			s.Protocol, s.Method, s.Target, s.Host, s.Status = "redis", "GET", "user:1", "", 0
			s.Attributes = []session.Attribute{{Key: "db", Value: "1\n2"}}
			s.Client = netip.MustParseAddrPort("[2001:db8::1:2:3:4]:44556")
		}, pod,
			`  default/web-5d-x             <- [2001:db8::1:2:3:4]:44556  redis     -           5ms         92>465  GET user:1 db=1\x0a2`},
		{func(s *session.Session) { s.Target = "/\x1b[2J\u202e\xff" }, pod,
			`  default/web-5d-x             <- 10.0.0.1:44556         HTTP/1.1  200         5ms         92>465  GET http://web:9180/%1B[2J\u202e%FF`},
	} {
		if got := line(t, get(test.change), test.place, export.Text); got != at+test.want {
			t.Errorf("got\n%s\nwant\n%s", got, at+test.want)
		}
	}
}

func TestJSON(t *testing.T) {
	s := get(func(s *session.Session) {
		s.Trace.TraceID, s.Trace.SpanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
		s.UserAgent = "<a&b>\u009b1m\x7f\U000e0001"
		s.Attributes = []session.Attribute{{Key: "k", Value: "v"}}
		s.TCP.OutOfOrder = 3
	})
	text := line(t, s, pod, export.JSON)
	var got export.Record
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if want := export.NewRecord(s, pod); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	span := export.Span(s, pod)
	want := `{"time":"2026-11-26T00:10:11.123456789Z","duration_ns":5000000,"time_to_first_byte_ns":3000000,"direction":"ingress",` +
		`"node":"n1","namespace":"default","pod":"web-5d-x","container":"app","workload":"web-v1","service":"web",` +
		`"client":"10.0.0.1:44556","server":"10.0.0.2:9180","transport":"tcp","protocol":"HTTP/1.1",` +
		`"method":"GET","url":"http://web:9180/orders/17?x=1","target":"/orders/17?x=1","host":"web:9180","status":200,` +
		`"user_agent":"<a&b>\u009b1m\u007f\udb40\udc01","content_type":"text/html","request_id":"r-1",` +
		`"request":{"seen":true,"header_bytes":80,"body_bytes":12},"response":{"seen":true,"header_bytes":120,"body_bytes":345},` +
		`"tcp":{"out_of_order":3},"outcome":"paired","complete":true,` +
		`"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"` + span.SpanID.String() + `","parent_id":"b7ad6b7169203331","attributes":{"k":"v"}}`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// TestLinesTogether holds that lines of several goroutines stay whole.
func TestLinesTogether(t *testing.T) {
	var out bytes.Buffer
	lines := export.NewLines(&out, export.LineOptions{Format: export.JSON})
	var writing sync.WaitGroup
	for range 4 {
		writing.Go(func() {
			for range 50 {
				if err := lines.Write(get(), pod); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	if n := strings.Count(out.String(), "\n"); n != 200 {
		t.Errorf("%d lines", n)
	}
	for text := range strings.Lines(out.String()) {
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q", text)
		}
	}
}

func TestFormat(t *testing.T) {
	for text, want := range map[string]export.Format{"text": export.Text, "json": export.JSON, "xml": ""} {
		if got, err := export.ParseFormat(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
}
