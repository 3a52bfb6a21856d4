package halyard_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/halyard"
)

// replies answers requests in turn with given bodies, then with a refusal.
type replies struct {
	bodies [][]byte
	next   int
}

func (r *replies) RoundTrip(req *http.Request) (*http.Response, error) {
	res := &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: http.NoBody, Request: req}
	if r.next < len(r.bodies) {
		res.StatusCode, res.Body = http.StatusOK, io.NopCloser(bytes.NewReader(r.bodies[r.next]))
		res.Header.Set("Content-Type", "application/json")
		r.next++
	}
	return res, nil
}

// FuzzAnswers gives the client foreign answers, to a submit and to a look.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"uuid":"a","state":"RUNNING","events":[{"stage":"x","timestamp":1}],"children":[{"uuid":"b","events":[{}]}]}`),
		[]byte(`{"uuid":"a","state":"SUCCEEDED","response":{"responseBody":{"enabled":true,"accounts":[{"name":"x","password":"y"}]},"problemSet":{"problems":[]}}}`))
	f.Add([]byte(`{"uuid":"a","state":"FAILED","response":{"problemSet":{"problems":[{"severity":"FATAL","message":"No account with name \"x\" was found"}]}}}`), []byte(``))
	f.Add([]byte(`{"uuid":"a"}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, submit, look []byte) {
		c, err := halyard.New(halyard.Options{
			URL: "http://h", HTTP: &http.Client{Transport: &replies{bodies: [][]byte{submit, look}}}, FirstPoll: time.Nanosecond,
			OnEvent: func(halyard.Event) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Provider(t.Context(), spinnaker.KubernetesProvider)
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		_ = fmt.Sprint(p)
	})
}
