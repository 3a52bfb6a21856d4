// Package auth says who calls the API and what they may do.
//
// A server asks an [Authenticator] who a caller is and an [Authorizer]
// whether that one may. [Tokens] and [Certificates] know callers by a file of
// tokens and by client certificates; [Roles] decides by the role that they
// give. Package kubeauth leaves both to a Kubernetes cluster.
package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Errors that a server tells its callers apart by. Implementations wrap them.
var (
	// ErrNoCredentials: the caller showed nothing that the authenticator
	// reads.
	ErrNoCredentials = errors.New("no credentials")
	// ErrUnauthenticated: what the caller showed is not valid.
	ErrUnauthenticated = errors.New("credentials are not valid")
	// ErrDenied: the caller is known and may not do this.
	ErrDenied = errors.New("not allowed")
	// ErrUnavailable: it cannot be found out now.
	ErrUnavailable = errors.New("authentication is not available")
)

// Credentials are what a caller showed.
type Credentials struct {
	// Token is the bearer token. "": none.
	Token string
	// Certificate is the client's, whose chain TLS has verified. nil: none.
	Certificate *x509.Certificate
}

// Identity is who a caller is.
type Identity struct {
	// User names the caller; it is never empty.
	User string
	// UID, Groups and Extra are what Kubernetes knows besides.
	UID    string
	Groups []string
	Extra  map[string][]string
	// Role is what Clover itself lets the caller do; "" if another decides.
	Role Role
}

// Verbs of permissions, as Kubernetes names them.
const (
	Get    = "get"
	Update = "update"
	Delete = "delete"
)

// Permission is what a call needs: a verb on a resource of the API, or on a
// path that is no resource.
type Permission struct {
	Verb     string
	Resource string // e.g. visibility
	Path     string // e.g. /metrics, if Resource is ""
}

// String returns the verb and its object, e.g. "update visibility".
func (p Permission) String() string {
	if p.Resource == "" {
		return p.Verb + " " + p.Path
	}
	return p.Verb + " " + p.Resource
}

// Authenticator finds out who a caller is.
type Authenticator interface {
	// Authenticate returns who shows the credentials, or an error that
	// matches ErrNoCredentials, ErrUnauthenticated or ErrUnavailable. It is
	// called concurrently and keeps no credentials longer than it says.
	Authenticate(ctx context.Context, c Credentials) (Identity, error)
}

// Authorizer decides what an identity may do.
type Authorizer interface {
	// Authorize returns nil if the identity has the permission, or an error
	// that matches ErrDenied and says what is missing, or ErrUnavailable. It
	// is called concurrently.
	Authorize(ctx context.Context, who Identity, p Permission) error
}

// Role is a set of permissions that Clover itself knows.
type Role string

// The roles.
const (
	Reader   Role = "reader"   // may read everything
	Operator Role = "operator" // may do everything
)

// Roles authorizes by the role of an identity.
type Roles struct{}

// Authorize implements Authorizer.
func (Roles) Authorize(_ context.Context, who Identity, p Permission) error {
	if who.Role == Operator || who.Role == Reader && p.Verb == Get {
		return nil
	}
	return fmt.Errorf("%w: user %q has the role %q and may not %s; that needs the role %s", ErrDenied, who.User, who.Role, p, Operator)
}

// First asks several authenticators in order until one reads the credentials.
type First []Authenticator

// Authenticate implements Authenticator.
func (f First) Authenticate(ctx context.Context, c Credentials) (Identity, error) {
	for _, a := range f {
		who, err := a.Authenticate(ctx, c)
		if !errors.Is(err, ErrNoCredentials) {
			return who, err
		}
	}
	return Identity{}, ErrNoCredentials
}

// Certificates knows a caller by a client certificate.
type Certificates struct {
	// Names are the common names that are taken. None: all, so the issuer is
	// trusted to give certificates to operators only.
	Names []string
}

// Authenticate implements Authenticator: the certificate's common name is the
// user, its organisations the groups, and the role is Operator.
func (a Certificates) Authenticate(_ context.Context, c Credentials) (Identity, error) {
	if c.Certificate == nil {
		return Identity{}, ErrNoCredentials
	}
	subject := c.Certificate.Subject
	if subject.CommonName == "" {
		return Identity{}, fmt.Errorf("%w: the client certificate has no common name", ErrUnauthenticated)
	}
	if len(a.Names) > 0 && !slices.Contains(a.Names, subject.CommonName) {
		return Identity{}, fmt.Errorf("%w: the client certificate is for %q, not for %q", ErrUnauthenticated, subject.CommonName, a.Names)
	}
	return Identity{User: subject.CommonName, Groups: subject.Organization, Role: Operator}, nil
}
