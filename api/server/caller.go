package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/opnfv/clover/api/server/auth"
)

// caller is who makes a call, and from where.
type caller struct {
	Identity  auth.Identity
	Token     string // that was shown, to be checked again in long calls
	From      string // address
	RequestID string
	Session   string // cookie of the browser that has signed in with the token
}

// callerContext is the key of a caller in the context of a REST request.
type callerContext struct{}

// anonymous is everybody where nobody is asked who they are.
const anonymous = "anonymous"

// httpCaller authenticates the caller of a REST request, unless the request
// is open to all.
func (s *Server) httpCaller(r *http.Request, open bool) (caller, error) {
	c := caller{From: r.RemoteAddr, RequestID: requestID(r.Header.Values("X-Request-Id"))}
	if open {
		return c, nil
	}
	authorization := r.Header.Values("Authorization")
	if len(authorization) == 0 {
		if id, token := s.session(r); token != "" {
			authorization, c.Session = []string{"Bearer " + token}, id
		}
	}
	err := s.identify(r.Context(), &c, authorization, verifiedCertificate(r.TLS))
	return c, err
}

// rpcCaller authenticates the caller of a gRPC call, unless REST did or the
// method is open to all.
func (s *Server) rpcCaller(ctx context.Context, open bool) (caller, error) {
	c, inside, err := callerInside(ctx)
	if inside {
		return c, err
	}
	c.RequestID = requestID(metadata.ValueFromIncomingContext(ctx, requestIDKey))
	var cert *x509.Certificate
	if p, ok := peer.FromContext(ctx); ok {
		c.From = p.Addr.String()
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			cert = verifiedCertificate(&info.State)
		}
	}
	if open {
		return c, nil
	}
	err = s.identify(ctx, &c, metadata.ValueFromIncomingContext(ctx, "authorization"), cert)
	return c, err
}

// verifiedCertificate returns the client's certificate if TLS verified it.
func verifiedCertificate(state *tls.ConnectionState) *x509.Certificate {
	if state == nil || len(state.VerifiedChains) == 0 {
		return nil
	}
	return state.VerifiedChains[0][0]
}

// identify asks the Authenticator who a caller is. An address that shows
// wrong credentials too often has to wait.
func (s *Server) identify(ctx context.Context, c *caller, authorization []string, cert *x509.Certificate) error {
	if s.opts.Authenticator == nil {
		c.Identity = auth.Identity{User: anonymous}
		return nil
	}
	token, err := bearerToken(authorization)
	if err != nil {
		return statusOf(err)
	}
	address := addressKey(c.From)
	if wait := s.failures.wait(address); wait > 0 {
		return tooMany("wrong credentials came too often from this address", wait)
	}
	who, err := s.opts.Authenticator.Authenticate(ctx, auth.Credentials{Token: token, Certificate: cert})
	if errors.Is(err, auth.ErrUnauthenticated) {
		s.failures.take(address)
	}
	if err == nil && who.User == "" {
		err = fmt.Errorf("%w: they name no user", auth.ErrUnauthenticated)
	}
	c.Identity, c.Token = who, token
	return statusOf(err)
}

// bearerToken reads the header Authorization (RFC 6750, §2.1).
func bearerToken(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.Contains(token, " ") {
		return "", fmt.Errorf("%w: want one header, Authorization: Bearer TOKEN", auth.ErrUnauthenticated)
	}
	return token, nil
}

// permit lets a caller go on or says why not.
func (s *Server) permit(ctx context.Context, c caller, a access) error {
	known := s.opts.Authenticator != nil && !a.open
	key := addressKey(c.From)
	if known {
		key = "user " + c.Identity.User
	}
	if s.opts.Authenticator != nil || !isLoopback(hostOf(c.From)) {
		if wait := s.rates.take(key); wait > 0 {
			return tooMany(fmt.Sprintf("more than %g requests a second", s.opts.RateLimit), wait)
		}
	}
	if !known {
		return nil
	}
	return statusOf(s.opts.Authorizer.Authorize(ctx, c.Identity, a.Permission))
}

// statusOf gives an error of package auth its gRPC code.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	code := codes.Internal
	switch {
	case errors.Is(err, auth.ErrNoCredentials):
		return status.Error(codes.Unauthenticated, "a token is needed: send the header Authorization: Bearer TOKEN")
	case errors.Is(err, auth.ErrUnauthenticated):
		code = codes.Unauthenticated
	case errors.Is(err, auth.ErrDenied):
		code = codes.PermissionDenied
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, auth.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		code = codes.Unavailable
	}
	return status.Error(code, err.Error())
}

// tooMany says when to come again, by google.rpc.RetryInfo.
func tooMany(what string, wait time.Duration) error {
	wait = max(wait, time.Millisecond)
	st := status.New(codes.ResourceExhausted, fmt.Sprintf("%s; come again in %v", what, wait.Round(time.Millisecond)))
	if detailed, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		st = detailed
	}
	return st.Err()
}

// requestIDKey is the metadata with the id of a request; REST's header is
// X-Request-Id.
const requestIDKey = "x-request-id"

var safeID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID returns the id that a caller gave, if it is fit for a log, or a
// new one.
func requestID(given []string) string {
	if len(given) == 1 && safeID.MatchString(given[0]) {
		return given[0]
	}
	return strings.ToLower(rand.Text())
}

// refusalHeaders are what goes with a refusal, in the words of HTTP.
func refusalHeaders(err error) map[string]string {
	st := status.Convert(err)
	h := map[string]string{}
	if st.Code() == codes.Unauthenticated {
		h["www-authenticate"] = `Bearer realm="clover"`
	}
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			seconds := (retry.GetRetryDelay().AsDuration() + time.Second - 1) / time.Second
			h["retry-after"] = fmt.Sprint(int(seconds))
		}
	}
	return h
}

// addressKey is the part of an address that stands for one client: IPv6
// hosts choose freely within a /64.
func addressKey(from string) string {
	ip := net.ParseIP(hostOf(from))
	if ip == nil || ip.To4() != nil {
		return "address " + hostOf(from)
	}
	return "address " + ip.Mask(net.CIDRMask(64, 128)).String()
}
