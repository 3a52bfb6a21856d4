package kubeauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/kubeauth"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
)

const audience = "clover.opnfv.org"

// world is a namespace of a real cluster with service accounts: reviewer may
// review, reader and operator have the rights of their names in the
// namespace, nobody has none.
type world struct {
	admin     *kubernetes.Clientset
	config    *rest.Config
	namespace string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Start(t).Kubeconfig())
	check(t, err)
	config.NextProtos = []string{"http/1.1"} // whose connections are closed when told to
	admin, err := kubernetes.NewForConfig(config)
	check(t, err)
	w := &world{admin: admin, config: config}
	closeIdleAtEnd(t, config)
	closeIdleAtEnd(t, w.anonymous())
	ns, err := admin.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kubeauth-"}}, metav1.CreateOptions{})
	check(t, err)
	w.namespace = ns.Name
	t.Cleanup(func() {
		check(t, admin.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}))
	})
	for _, name := range []string{"reviewer", "reader", "operator", "nobody"} {
		_, err := admin.CoreV1().ServiceAccounts(ns.Name).Create(t.Context(),
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		check(t, err)
	}
	w.bindCluster(t, "reviewer", "system:auth-delegator")
	w.grant(t, "reader", auth.Get)
	w.grant(t, "operator", auth.Get, auth.Update, auth.Delete)
	visibility := authorizationv1.ResourceAttributes{Namespace: ns.Name, Group: kubeauth.Group, Resource: "visibility", Verb: auth.Get}
	w.mayDo(t, "reader", visibility)
	visibility.Verb = auth.Delete
	w.mayDo(t, "operator", visibility)
	w.mayDo(t, "reviewer", authorizationv1.ResourceAttributes{Group: authorizationv1.GroupName, Resource: "subjectaccessreviews", Verb: "create"})
	return w
}

// mayDo waits until an account has a right: the API server learns of a binding
// some time after it has stored it.
func (w *world) mayDo(t *testing.T, account string, what authorizationv1.ResourceAttributes) {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + w.namespace + ":" + account, ResourceAttributes: &what,
	}}
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		got, err := w.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		check(t, err)
		return got.Status.Allowed, fmt.Sprintf("%s: %+v", account, got.Status)
	})
}

// closeIdleAtEnd closes the connections that client-go keeps for a
// configuration when the test ends. It holds their transport until then:
// client-go's cache only has weak pointers to them, so that one that nobody
// holds is forgotten with its connections open.
func closeIdleAtEnd(t *testing.T, config *rest.Config) {
	t.Helper()
	rt, err := rest.TransportFor(config)
	check(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(rt) })
}

// anonymous reaches the cluster as nobody.
func (w *world) anonymous() *rest.Config {
	c := rest.AnonymousClientConfig(w.config)
	c.NextProtos = w.config.NextProtos
	return c
}

func (w *world) subject(account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: w.namespace}}
}

// bindCluster gives an account a ClusterRole everywhere.
func (w *world) bindCluster(t *testing.T, account, role string) {
	t.Helper()
	b, err := w.admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: w.namespace + "-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}, Subjects: w.subject(account),
	}, metav1.CreateOptions{})
	check(t, err)
	t.Cleanup(func() {
		check(t, w.admin.RbacV1().ClusterRoleBindings().Delete(context.Background(), b.Name, metav1.DeleteOptions{}))
	})
}

// grant gives an account verbs on visibility in the namespace.
func (w *world) grant(t *testing.T, account string, verbs ...string) {
	t.Helper()
	_, err := w.admin.RbacV1().Roles(w.namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{kubeauth.Group}, Resources: []string{"visibility"}, Verbs: verbs}},
	}, metav1.CreateOptions{})
	check(t, err)
	_, err = w.admin.RbacV1().RoleBindings(w.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account}, Subjects: w.subject(account),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
	}, metav1.CreateOptions{})
	check(t, err)
}

// token asks the cluster for a token of an account.
func (w *world) token(t *testing.T, account string, audiences ...string) string {
	t.Helper()
	req, err := w.admin.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	check(t, err)
	return req.Status.Token
}

// reviewer returns a Reviewer that calls the cluster as an account, and the
// number of its calls.
func (w *world) reviewer(t *testing.T, account string, o kubeauth.Options) (*kubeauth.Reviewer, *atomic.Int64) {
	t.Helper()
	config := w.anonymous()
	config.BearerToken = w.token(t, account)
	calls := &atomic.Int64{}
	config.WrapTransport = func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			calls.Add(1)
			return rt.RoundTrip(req)
		})
	}
	o.Config, o.Namespace = config, w.namespace
	r, err := kubeauth.New(o)
	check(t, err)
	return r, calls
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTheClusterDecides asks a real cluster who callers are and what they may.
func TestTheClusterDecides(t *testing.T) {
	w := newWorld(t)
	r, calls := w.reviewer(t, "reviewer", kubeauth.Options{})
	rights := map[string][]string{"reader": {auth.Get}, "operator": {auth.Get, auth.Update, auth.Delete}, "nobody": nil}
	for account, verbs := range rights {
		token := w.token(t, account)
		who, err := r.Authenticate(t.Context(), auth.Credentials{Token: token})
		check(t, err)
		if want := "system:serviceaccount:" + w.namespace + ":" + account; who.User != want || !slices.Contains(who.Groups, "system:serviceaccounts") {
			t.Errorf("%s is %+v", account, who)
		}
		for _, verb := range []string{auth.Get, auth.Update, auth.Delete} {
			err := r.Authorize(t.Context(), who, auth.Permission{Verb: verb, Resource: "visibility"})
			switch allowed := slices.Contains(verbs, verb); {
			case allowed && err != nil:
				t.Errorf("%s may not %s: %v", account, verb, err)
			case !allowed && !errors.Is(err, auth.ErrDenied):
				t.Errorf("%s may %s: %v", account, verb, err)
			case !allowed && !strings.Contains(err.Error(), verb+" visibility.clover.opnfv.org in namespace "+w.namespace):
				t.Errorf("%v does not say what is missing", err)
			}
		}
		metrics := auth.Permission{Verb: auth.Get, Path: "/metrics"}
		if err := r.Authorize(t.Context(), who, metrics); !errors.Is(err, auth.ErrDenied) || !strings.Contains(err.Error(), "nonResourceURL /metrics") {
			t.Errorf("%s may get /metrics: %v", account, err)
		}
		before := calls.Load()
		again, err := r.Authenticate(t.Context(), auth.Credentials{Token: token})
		check(t, err)
		if calls.Load() != before || again.User != who.User {
			t.Errorf("%s: asked again, %d calls", account, calls.Load()-before)
		}
	}
	for _, token := range []string{"nonsense", w.token(t, "reader") + "x"} {
		for range 2 {
			if _, err := r.Authenticate(t.Context(), auth.Credentials{Token: token}); !errors.Is(err, auth.ErrUnauthenticated) {
				t.Errorf("a wrong token: %v", err)
			}
		}
	}
}

// TestAudiences keeps tokens for others out.
func TestAudiences(t *testing.T) {
	w := newWorld(t)
	own, _ := w.reviewer(t, "reviewer", kubeauth.Options{Audiences: []string{audience}})
	standard, _ := w.reviewer(t, "reviewer", kubeauth.Options{})
	forClover, forAPI := w.token(t, "reader", audience), w.token(t, "reader")
	for name, c := range map[string]struct {
		r     *kubeauth.Reviewer
		token string
		good  bool
	}{
		"for Clover, wanted":       {own, forClover, true},
		"for the API, not wanted":  {own, forAPI, false},
		"for the API, wanted":      {standard, forAPI, true},
		"for Clover, not wanted":   {standard, forClover, false},
		"for another, not wanted":  {own, w.token(t, "reader", "vault"), false},
		"for both, one is enough ": {own, w.token(t, "reader", "vault", audience), true},
	} {
		if _, err := c.r.Authenticate(t.Context(), auth.Credentials{Token: c.token}); (err == nil) != c.good || err != nil && !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatIsTakenAwayIsGoneSoon removes a right and an account.
func TestWhatIsTakenAwayIsGoneSoon(t *testing.T) {
	w := newWorld(t)
	r, _ := w.reviewer(t, "reviewer", kubeauth.Options{KeepGood: time.Millisecond, KeepBad: time.Millisecond})
	token := auth.Credentials{Token: w.token(t, "operator")}
	who, err := r.Authenticate(t.Context(), token)
	check(t, err)
	change := auth.Permission{Verb: auth.Update, Resource: "visibility"}
	check(t, r.Authorize(t.Context(), who, change))
	check(t, w.admin.RbacV1().RoleBindings(w.namespace).Delete(t.Context(), "operator", metav1.DeleteOptions{}))
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		return errors.Is(r.Authorize(t.Context(), who, change), auth.ErrDenied), "the right is still there"
	})
	check(t, w.admin.CoreV1().ServiceAccounts(w.namespace).Delete(t.Context(), "operator", metav1.DeleteOptions{}))
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		_, err := r.Authenticate(t.Context(), token)
		return errors.Is(err, auth.ErrUnauthenticated), "the account is still there"
	})
}

// TestAReviewerWithoutRights is told which role it needs.
func TestAReviewerWithoutRights(t *testing.T) {
	w := newWorld(t)
	r, _ := w.reviewer(t, "nobody", kubeauth.Options{})
	_, err := r.Authenticate(t.Context(), auth.Credentials{Token: w.token(t, "reader")})
	if !errors.Is(err, auth.ErrUnavailable) || !strings.Contains(err.Error(), "system:auth-delegator") {
		t.Errorf("%v", err)
	}
	err = r.Authorize(t.Context(), auth.Identity{User: "ann"}, auth.Permission{Verb: auth.Get, Resource: "visibility"})
	if !errors.Is(err, auth.ErrUnavailable) || !strings.Contains(err.Error(), "subjectaccessreviews") {
		t.Errorf("%v", err)
	}
}

// TestOverREST sees how a server answers whom the cluster lets in or not.
func TestOverREST(t *testing.T) {
	w := newWorld(t)
	good, _ := w.reviewer(t, "reviewer", kubeauth.Options{})
	weak, _ := w.reviewer(t, "nobody", kubeauth.Options{})
	reader, operator, nobody := w.token(t, "reader"), w.token(t, "operator"), w.token(t, "nobody")
	for name, c := range map[string]struct {
		r             *kubeauth.Reviewer
		token, method string
		path          string
		want          int
	}{
		"read by a reader":        {good, reader, "GET", "status", http.StatusNotImplemented}, // it got there
		"change by a reader":      {good, reader, "POST", "stop", http.StatusForbidden},
		"change by an operator":   {good, operator, "POST", "stop", http.StatusNotImplemented},
		"clear by an operator":    {good, operator, "POST", "clear", http.StatusNotImplemented},
		"read by somebody else":   {good, nobody, "GET", "status", http.StatusForbidden},
		"a stream by one":         {good, nobody, "GET", "spans", http.StatusForbidden},
		"read with a wrong token": {good, nobody + "x", "GET", "status", http.StatusUnauthorized},
		"read without a token":    {good, "", "GET", "status", http.StatusUnauthorized},
		"no right to review":      {weak, reader, "GET", "status", http.StatusServiceUnavailable},
	} {
		srv, err := server.New(t.Context(), v1.UnimplementedVisibilityServiceServer{}, server.Options{
			GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0", Authenticator: c.r, Authorizer: c.r,
		})
		check(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- srv.Run(ctx) }()
		_, rest := srv.Addrs()
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+rest+"/api/v1/visibility/"+c.path, strings.NewReader("{}"))
		check(t, err)
		req.Header.Set("Content-Type", "application/json")
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		res, err := http.DefaultClient.Do(req)
		check(t, err)
		body, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: %s %s, want %d", name, res.Status, body, c.want)
		}
		http.DefaultClient.CloseIdleConnections()
		cancel()
		check(t, <-done)
	}
}
