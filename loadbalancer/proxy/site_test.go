package proxy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// TestUploadsFull: numbers that are free again are used when the last one is.
func TestUploadsFull(t *testing.T) {
	root := t.TempDir()
	p := proxy.New(proxy.Options{})
	apply(t, p, loadbalancer.Config{
		Sites:  []loadbalancer.Site{{Name: "s", Root: root, UploadPath: "/up"}},
		Routes: []loadbalancer.Route{{Path: "/", Site: "s"}},
	})
	post := func() (int, string) {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/up", strings.NewReader("x")))
		return w.Code, w.Header().Get("Location")
	}
	for i := range 1000 {
		if status, _ := post(); status != http.StatusCreated {
			t.Fatalf("upload %d: %d", i+1, status)
		}
	}
	if status, _ := post(); status != http.StatusInsufficientStorage {
		t.Errorf("one more: %d, want 507", status)
	}
	for _, n := range []int{3, 700} {
		if err := os.Remove(filepath.Join(root, fmt.Sprintf("upload/%010d", n))); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"/upload/0000000003", "/upload/0000000700"} {
		if status, place := post(); status != http.StatusCreated || place != want {
			t.Errorf("after some were removed: %d %q, want 201 %q", status, place, want)
		}
	}
	if status, _ := post(); status != http.StatusInsufficientStorage {
		t.Errorf("full again: %d, want 507", status)
	}
}

// TestApplyKeepsConfig: Apply changes nothing in what it was given, so that the
// same again is no change.
func TestApplyKeepsConfig(t *testing.T) {
	try := loadbalancer.Try{Files: []string{"$uri"}}
	c := loadbalancer.Config{
		Sites: []loadbalancer.Site{{
			Name: "s", Root: t.TempDir(),
			Locations: []loadbalancer.Location{{Match: "/a", Try: try}, {Match: "/abc", Try: try}},
		}},
		Routes: []loadbalancer.Route{{Path: "/", Site: "s"}},
	}
	before := c.Clone()
	p := proxy.New(proxy.Options{})
	apply(t, p, c)
	if !reflect.DeepEqual(c, before) {
		t.Errorf("%+v, was %+v", c, before)
	}
	if apply(t, p, before).Changed {
		t.Error("the same again is a change")
	}
}
