package kubeauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/kubeauth"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(cluster.M{M: m}) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// broken returns a Reviewer whose cluster fails as h does, and has so long to
// answer.
func broken(t *testing.T, timeout time.Duration, h http.HandlerFunc) *kubeauth.Reviewer {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r, err := kubeauth.New(kubeauth.Options{Config: &rest.Config{Host: server.URL}, Timeout: timeout})
	check(t, err)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return r
}

// silence says nothing until the client gives up.
func silence(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection is not seen
	<-r.Context().Done()
}

// TestWhenTheClusterDoesNotAnswer sees that nobody gets in, that it is told
// apart from a refusal, and that it is not remembered.
func TestWhenTheClusterDoesNotAnswer(t *testing.T) {
	away, err := kubeauth.New(kubeauth.Options{Config: &rest.Config{Host: "http://" + testutil.FreeAddr(t)}})
	check(t, err)
	answer := func(code int, reason metav1.StatusReason) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: "the cluster's words",
			})
		}
	}
	for name, c := range map[string]struct {
		r    *kubeauth.Reviewer
		want string
	}{
		"away":      {away, "cannot be asked"},
		"silent":    {broken(t, 100*time.Millisecond, silence), "cannot be asked"},
		"ill":       {broken(t, time.Minute, answer(http.StatusInternalServerError, metav1.StatusReasonInternalError)), "the cluster's words"},
		"forbidden": {broken(t, time.Minute, answer(http.StatusForbidden, metav1.StatusReasonForbidden)), "system:auth-delegator"},
		"unknown":   {broken(t, time.Minute, answer(http.StatusUnauthorized, metav1.StatusReasonUnauthorized)), "system:auth-delegator"},
		"nonsense":  {broken(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), "cannot be asked"},
		"empty":     {broken(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }), ""},
	} {
		_, err := c.r.Authenticate(t.Context(), auth.Credentials{Token: "secret-token"})
		if c.want != "" && !errors.Is(err, auth.ErrUnavailable) || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: a token: %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the token is in %v", name, err)
		}
		err = c.r.Authorize(t.Context(), auth.Identity{User: "ann"}, auth.Permission{Verb: auth.Get, Resource: "visibility"})
		if c.want != "" && !errors.Is(err, auth.ErrUnavailable) || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: a right: %v, want %q", name, err, c.want)
		}
	}
}

// TestFaultsAreNotRemembered lets a cluster come back.
func TestFaultsAreNotRemembered(t *testing.T) {
	var ill atomic.Bool
	ill.Store(true)
	r := broken(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if ill.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(`{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"username":"ann"}}}`))
	})
	if _, err := r.Authenticate(t.Context(), auth.Credentials{Token: "t"}); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("ill: %v", err)
	}
	ill.Store(false)
	if who, err := r.Authenticate(t.Context(), auth.Credentials{Token: "t"}); err != nil || who.User != "ann" {
		t.Errorf("well: %+v, %v", who, err)
	}
}

func TestACallerWhoGoesAway(t *testing.T) {
	r := broken(t, 100*time.Millisecond, silence)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Authenticate(ctx, auth.Credentials{Token: "t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it is cancelled", err)
	}
	if _, err := r.Authenticate(t.Context(), auth.Credentials{}); !errors.Is(err, auth.ErrNoCredentials) {
		t.Errorf("without a token: %v", err)
	}
}
