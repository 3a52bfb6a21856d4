package locate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
)

// TokenSource gives the token of a request; "" for none.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// Fixed is a token that was given.
type Fixed string

// Token implements TokenSource.
func (f Fixed) Token(context.Context) (string, error) { return string(f), nil }

// File is a file with a token, read again for each request, as the kubelet
// replaces it.
type File string

// Token implements TokenSource.
func (f File) Token(context.Context) (string, error) {
	raw, err := os.ReadFile(string(f))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", fmt.Errorf("%s is empty, want a token", string(f))
	}
	return token, nil
}

// accounts are the service accounts that speak for users, the one with more
// rights first.
var accounts = []string{"clover-operator", "clover-reader"}

const (
	tokenLife = time.Hour
	// tokenMargin is how long before its end a token is replaced.
	tokenMargin = 5 * time.Minute
)

// Requested asks the cluster for tokens of the service account
// clover-operator, or of clover-reader where the user may not have the other.
type Requested struct {
	Cluster   *kube.Cluster
	Namespace string

	mu    sync.Mutex
	token string
	end   time.Time
}

// Token implements TokenSource.
func (r *Requested) Token(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Until(r.end) > tokenMargin {
		return r.token, nil
	}
	seconds := int64(tokenLife / time.Second)
	var first error
	for _, account := range accounts {
		answer, err := r.Cluster.Typed().CoreV1().ServiceAccounts(r.Namespace).CreateToken(ctx, account,
			&authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
		if err == nil {
			r.token, r.end = answer.Status.Token, answer.Status.ExpirationTimestamp.Time
			return r.token, nil
		}
		if first == nil {
			first = err
		}
		if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	if apierrors.IsNotFound(first) {
		return "", nil // an install without authentication
	}
	err := kube.Explain(first)
	var denied *kube.DeniedError
	if errors.As(err, &denied) {
		return "", fmt.Errorf("%w\nOr give a token for the controller with --token-file", err)
	}
	return "", err
}

// Bearer adds the token to requests.
type Bearer struct {
	Source TokenSource
	Next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *Bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.Source.Token(r.Context())
	if err != nil {
		return nil, err
	}
	if token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.Next.RoundTrip(r)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections work.
func (b *Bearer) CloseIdleConnections() {
	if c, ok := b.Next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
