package gate_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/opnfv/clover/spinnaker/gate"
)

type reply []byte

func (r reply) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(r)), Request: req,
	}, nil
}

// FuzzAnswers gives the client foreign answers.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"id":"a","status":"TERMINAL","stages":[{"id":"1","status":"TERMINAL","context":{"exception":{"details":{"errors":["x",1]}}}}]}`))
	f.Add([]byte(`[{"name":"a","type":"kubernetes"}]`))
	f.Add([]byte(`{"name":"p","application":"a","stages":[{"type":"wait"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := gate.New(gate.Options{URL: "http://h", HTTP: &http.Client{Transport: reply(body)}, FirstPoll: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		x, err := c.Execution(ctx, "a")
		if err == nil && x.Status.Failed() {
			_ = (&gate.ExecutionError{Execution: x}).Error()
		}
		_, _ = c.AccountDefinitions(ctx, "kubernetes")
		_, _ = c.Pipelines(ctx, "a")
		_, _ = c.Pipeline(ctx, "a", "p")
		_, _ = c.Start(ctx, "a", "p", gate.Trigger{})
	})
}
