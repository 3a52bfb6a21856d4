package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

func TestMain(m *testing.M) { leak.Main(m) }

// serve runs a server for one test and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return &Client{Address: srv.URL, Timeout: time.Minute, HTTP: srv.Client()}
}

// stream reads a stream of live spans and returns the services and the JSON.
func stream(ctx context.Context, c *Client) (services, raw []string, err error) {
	err = c.Stream(ctx, "spans", nil, func() proto.Message { return &v1.ObserveSpansResponse{} }, func(m proto.Message, b []byte) error {
		services = append(services, m.(*v1.ObserveSpansResponse).GetSpan().GetService())
		raw = append(raw, string(b))
		return nil
	})
	return services, raw, err
}

func TestFramesOfEvents(t *testing.T) {
	const plain = `{"span":{"service":"web"}}`
	for name, body := range map[string]string{
		"gateway":      "data: {\"result\":" + plain + "}\n\n",
		"plain":        "data: " + plain + "\n\n",
		"no space":     "data:" + plain + "\n\n",
		"many lines":   "event: span\ndata: {\"span\":\ndata: {\"service\":\"web\"}}\n\n",
		"CR LF":        "data: " + plain + "\r\n\r\n",
		"comments":     ": still here\n\n: and here\ndata: " + plain + "\nid: 7\n\n",
		"not finished": "data: " + plain + "\n\ndata: {\"span\"",
		"new field":    "data: {\"span\":{\"service\":\"web\"},\"later\":1}\n\n",
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != "text/event-stream" || r.URL.Path != "/api/v1/visibility/spans" {
				t.Errorf("asked for %s as %s", r.URL, r.Header.Get("Accept"))
			}
			fmt.Fprint(w, body)
		})
		services, raw, err := stream(t.Context(), c)
		if err != nil || len(services) != 1 || services[0] != "web" || strings.ContainsAny(raw[0], "\r\n") {
			t.Errorf("%s: %q %q, %v", name, services, raw, err)
		}
	}
}

func TestHowStreamsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		code int
		want codes.Code
	}{
		"error event":     {body: "data: {\"error\":{\"code\":14,\"message\":\"ending\",\"details\":[]}}\n\n", code: 200, want: codes.Unavailable},
		"refused":         {body: `{"code":3,"message":"filter: wrong","details":[]}`, code: 400, want: codes.InvalidArgument},
		"another service": {body: "<html>", code: 502, want: codes.Unknown},
	} {
		cl := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.code)
			fmt.Fprint(w, c.body)
		})
		_, _, err := stream(t.Context(), cl)
		var st *StatusError
		if !errors.As(err, &st) || st.Code != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for name, body := range map[string]string{"no JSON": "data: x\n\n", "another message": "data: {\"span\":7}\n\n"} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		if _, _, err := stream(t.Context(), c); err == nil || !strings.Contains(err.Error(), "event") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// silent answers with one event and then says nothing.
func silent(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "data: {\"span\":{\"service\":\"web\"}}\n\n")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func TestSilentStreamIsLost(t *testing.T) {
	c := serve(t, silent)
	c.Silence = 5 * time.Second // so long a busy machine may take for the first event
	services, _, err := stream(t.Context(), c)
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !errors.Is(err, errSilent) || len(services) != 1 {
		t.Errorf("%q, %v", services, err)
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	c := serve(t, silent)
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Stream(ctx, "spans", nil, func() proto.Message { return &v1.ObserveSpansResponse{} },
		func(proto.Message, []byte) error { cancel(); return nil })
	if err != nil {
		t.Errorf("the end that was asked for is no error: %v", err)
	}
}

func TestErrorsOfAnswers(t *testing.T) {
	handler := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"status":          {handler(404, `{"code":5,"message":"trace ff: not found","details":[]}`), "trace ff: not found"},
		"another service": {handler(200, "<html>hello"), "does not answer as a clover-controller does"},
		"its error":       {handler(403, "<html>no"), `answered 403 Forbidden: "<html>no"`},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, "unexpected EOF"},
	} {
		cl := serve(t, c.handler)
		_, err := cl.Get(t.Context(), "status", nil, &v1.GetStatusResponse{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestTimeoutSaysSo(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	c.Timeout = 20 * time.Millisecond
	_, err := c.Get(t.Context(), "status", nil, &v1.GetStatusResponse{})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "--timeout") {
		t.Errorf("%v", err)
	}
}
