package site_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opnfv/clover/examples/internal/sdc/site"
)

func TestContentAnswersAsThePathSays(t *testing.T) {
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 200}, {"HEAD", "/item/1", 200}, {"POST", "/upload", 201}, {"GET", "/slow/report", 200},
		{"GET", "/broken", 503}, {"GET", "/missing", 404}, {"GET", "/status/418", 418}, {"GET", "/status/204", 204},
		{"GET", "/status/99", 400}, {"GET", "/status/x", 400},
	} {
		w := httptest.NewRecorder()
		site.Content{}.ServeHTTP(w, httptest.NewRequest(test.method, test.path, strings.NewReader("body")))
		if w.Code != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, w.Code, test.status)
		}
	}
}
