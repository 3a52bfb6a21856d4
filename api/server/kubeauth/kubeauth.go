// Package kubeauth lets a Kubernetes cluster say who calls Clover's API and
// what they may do: tokens are checked by TokenReview, rights by
// SubjectAccessReview, so that the cluster's RBAC decides.
//
// Rights are the verbs get, update and delete on resources of the group
// [Group], such as visibility, and get on paths such as /metrics.
package kubeauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/rest"

	"github.com/opnfv/clover/api/server/auth"
)

// Group is the API group of Clover's resources in RBAC rules.
const Group = "clover.opnfv.org"

// Options of a Reviewer. Config is needed.
type Options struct {
	// Config is how the Kubernetes API is called. The caller has to be
	// allowed what the ClusterRole system:auth-delegator allows.
	Config *rest.Config
	// Audiences are those of which a token must name one. None: the
	// Kubernetes API's own.
	Audiences []string
	// Namespace is the one that rights are asked in: a RoleBinding in it is
	// enough, as is a ClusterRoleBinding. "": only ClusterRoleBindings count.
	Namespace string
	// KeepGood and KeepBad are how long the answers yes and no are
	// remembered, and so how long a right that is taken away still holds.
	// 0: 30 s and 5 s.
	KeepGood, KeepBad time.Duration
	// Timeout bounds one review. 0: 5 s.
	Timeout time.Duration
}

// maxAnswers bounds how many answers of each kind are remembered.
const maxAnswers = 4096

// Bounds of the calls to the Kubernetes API.
const (
	maxReviewsPerSecond = 50
	maxReviewsAtOnce    = 100
)

// Reviewer is an auth.Authenticator and auth.Authorizer.
type Reviewer struct {
	opts           Options
	tokens, access rest.Interface
	key            [sha256.Size]byte // of this process, so that hashes are of no use elsewhere
	known          *cache.LRUExpireCache
	decided        *cache.LRUExpireCache
}

var (
	_ auth.Authenticator = (*Reviewer)(nil)
	_ auth.Authorizer    = (*Reviewer)(nil)
)

// New returns a Reviewer. It does not call the Kubernetes API yet.
func New(o Options) (*Reviewer, error) {
	if o.Config == nil {
		return nil, errors.New("kubeauth: Config is needed")
	}
	if o.KeepGood <= 0 {
		o.KeepGood = 30 * time.Second
	}
	if o.KeepBad <= 0 {
		o.KeepBad = 5 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	r := &Reviewer{opts: o, known: cache.NewLRUExpireCache(maxAnswers), decided: cache.NewLRUExpireCache(maxAnswers)}
	if _, err := rand.Read(r.key[:]); err != nil {
		return nil, fmt.Errorf("kubeauth: %w", err)
	}
	var err error
	if r.tokens, err = client(o.Config, authenticationv1.SchemeGroupVersion); err != nil {
		return nil, fmt.Errorf("kubeauth: %w", err)
	}
	if r.access, err = client(o.Config, authorizationv1.SchemeGroupVersion); err != nil {
		return nil, fmt.Errorf("kubeauth: %w", err)
	}
	return r, nil
}

// answer is what the Kubernetes API said: who, or an error that will not
// change soon.
type answer struct {
	who auth.Identity
	err error
}

// Authenticate implements auth.Authenticator.
func (r *Reviewer) Authenticate(ctx context.Context, c auth.Credentials) (auth.Identity, error) {
	if c.Token == "" {
		return auth.Identity{}, auth.ErrNoCredentials
	}
	key := r.hash([]byte(c.Token))
	if a, ok := r.known.Get(key); ok {
		return a.(answer).who, a.(answer).err
	}
	who, err := r.reviewToken(ctx, c.Token)
	switch {
	case err == nil:
		r.known.Add(key, answer{who: who}, r.opts.KeepGood)
	case errors.Is(err, auth.ErrUnauthenticated):
		r.known.Add(key, answer{err: err}, r.opts.KeepBad)
	}
	return who, err
}

func (r *Reviewer) reviewToken(ctx context.Context, token string) (auth.Identity, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: r.opts.Audiences}}
	var res authenticationv1.TokenReview
	if err := r.review(ctx, r.tokens, "tokenreviews", review, &res); err != nil {
		return auth.Identity{}, err
	}
	st := res.Status
	if !st.Authenticated {
		if st.Error != "" {
			return auth.Identity{}, fmt.Errorf("%w: %s", auth.ErrUnauthenticated, st.Error)
		}
		return auth.Identity{}, fmt.Errorf("%w: the cluster does not know the token", auth.ErrUnauthenticated)
	}
	if len(r.opts.Audiences) > 0 && !slices.ContainsFunc(st.Audiences, func(a string) bool { return slices.Contains(r.opts.Audiences, a) }) {
		return auth.Identity{}, fmt.Errorf("%w: the token is for %q, not for %q", auth.ErrUnauthenticated, st.Audiences, r.opts.Audiences)
	}
	who := auth.Identity{User: st.User.Username, UID: st.User.UID, Groups: st.User.Groups}
	for name, values := range st.User.Extra {
		if who.Extra == nil {
			who.Extra = map[string][]string{}
		}
		who.Extra[name] = values
	}
	return who, nil
}

// Authorize implements auth.Authorizer.
func (r *Reviewer) Authorize(ctx context.Context, who auth.Identity, p auth.Permission) error {
	text, err := json.Marshal(struct {
		Who auth.Identity
		P   auth.Permission
	}{who, p})
	if err != nil {
		return fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	key := r.hash(text)
	if a, ok := r.decided.Get(key); ok {
		return a.(answer).err
	}
	err = r.reviewAccess(ctx, who, p)
	switch {
	case err == nil:
		r.decided.Add(key, answer{}, r.opts.KeepGood)
	case errors.Is(err, auth.ErrDenied):
		r.decided.Add(key, answer{err: err}, r.opts.KeepBad)
	}
	return err
}

func (r *Reviewer) reviewAccess(ctx context.Context, who auth.Identity, p auth.Permission) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.User, UID: who.UID, Groups: who.Groups,
	}}
	for name, values := range who.Extra {
		if review.Spec.Extra == nil {
			review.Spec.Extra = map[string]authorizationv1.ExtraValue{}
		}
		review.Spec.Extra[name] = values
	}
	if p.Resource != "" {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Group: Group, Resource: p.Resource, Verb: p.Verb, Namespace: r.opts.Namespace,
		}
	} else {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: p.Path, Verb: p.Verb}
	}
	var res authorizationv1.SubjectAccessReview
	if err := r.review(ctx, r.access, "subjectaccessreviews", review, &res); err != nil {
		return err
	}
	if res.Status.Allowed && !res.Status.Denied {
		return nil
	}
	return r.denied(who, p)
}

// denied says which verb on what is missing, and what would give it.
func (r *Reviewer) denied(who auth.Identity, p auth.Permission) error {
	if p.Resource == "" {
		return fmt.Errorf("%w: user %q may not %s; that needs a ClusterRole with the verb %s on the nonResourceURL %s", auth.ErrDenied, who.User, p, p.Verb, p.Path)
	}
	role, where := "clover-operator", ""
	if p.Verb == auth.Get {
		role = "clover-reader"
	}
	if r.opts.Namespace != "" {
		where = " in namespace " + r.opts.Namespace
	}
	return fmt.Errorf("%w: user %q may not %s.%s%s; bind them to the ClusterRole %s", auth.ErrDenied, who.User, p, Group, where, role)
}

// hash stands for a secret in a cache.
func (r *Reviewer) hash(b []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, r.key[:])
	mac.Write(b)
	return [sha256.Size]byte(mac.Sum(nil))
}
