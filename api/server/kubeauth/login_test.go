package kubeauth_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/kubeauth"
	"github.com/opnfv/clover/internal/testutil"
)

// TestABrowserSignsIn signs in with tokens of a real cluster, and takes the
// right away under the session.
func TestABrowserSignsIn(t *testing.T) {
	w := newWorld(t)
	r, _ := w.reviewer(t, "reviewer", kubeauth.Options{KeepGood: time.Millisecond, KeepBad: time.Millisecond})
	page := http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(out, "the page of "+server.SessionUser(req.Context()))
	})
	srv, err := server.New(t.Context(), v1.UnimplementedVisibilityServiceServer{}, server.Options{
		GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0", Authenticator: r, Authorizer: r, Root: page,
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-done) })
	_, rest := srv.Addrs()
	jar, err := cookiejar.New(nil)
	check(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	browser := &http.Client{Jar: jar, Transport: transport}
	read := func(res *http.Response, err error) (int, string, string) {
		t.Helper()
		check(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		check(t, err)
		return res.StatusCode, res.Request.URL.Path, string(text)
	}
	signIn := func(account string) (int, string, string) {
		return read(browser.PostForm("http://"+rest+"/login", url.Values{"token": {w.token(t, account)}}))
	}
	if code, path, _ := signIn("nobody"); code != http.StatusForbidden || path != "/login" {
		t.Errorf("nobody: %d at %s, want 403 at /login", code, path)
	}
	want := "the page of system:serviceaccount:" + w.namespace + ":reader"
	if code, path, text := signIn("reader"); code != http.StatusOK || path != "/" || text != want {
		t.Errorf("reader: %d at %s: %s, want %s", code, path, text, want)
	}
	check(t, w.admin.RbacV1().RoleBindings(w.namespace).Delete(t.Context(), "reader", metav1.DeleteOptions{}))
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		code, _, text := read(browser.Get("http://" + rest + "/"))
		return code == http.StatusForbidden, text
	})
}
