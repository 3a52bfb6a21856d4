package monitoring

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// Kind says what a caller can do about an [Error].
type Kind string

// The kinds of errors.
const (
	// KindTemporary: the same call may succeed later (connection refused,
	// overload, deadline passed, rate limit).
	KindTemporary Kind = "temporary"
	// KindPermanent: the same call will fail again until somebody changes
	// something (refused credentials, an untrusted certificate). A call whose
	// context was cancelled is permanent too: the caller has gone.
	KindPermanent Kind = "permanent"
	// KindInvalid: the caller's input is wrong or too large (a PromQL error,
	// a bad label name, an answer above Options.MaxSamples).
	KindInvalid Kind = "invalid"
	// KindUnsupported: what answers at the URL does not offer this part of
	// the Prometheus HTTP API, or is no Prometheus at all.
	KindUnsupported Kind = "unsupported"
)

// Sentinels for errors.Is. Each [Error] matches the one of its kind;
// ErrTooLarge matches, beside ErrInvalid, an answer above Options.MaxSamples
// or Options.MaxResponseBytes.
var (
	ErrTemporary   = errors.New("temporary")
	ErrPermanent   = errors.New("permanent")
	ErrInvalid     = errors.New("invalid input")
	ErrUnsupported = errors.New("unsupported")
	ErrTooLarge    = errors.New("answer too large")
)

// Error is the error type of this package.
type Error struct {
	Op     string // short operation, e.g. "query", "targets", "options"
	Target string // the server's URL without credentials, or the offending field
	Kind   Kind   // what can be done about it
	Err    error  // the cause; never nil
}

// Error returns "prometheus OP TARGET: CAUSE".
func (e *Error) Error() string {
	msg := "prometheus " + e.Op
	if e.Target != "" {
		msg += " " + e.Target
	}
	return msg + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel of e's kind.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrTemporary:
		return e.Kind == KindTemporary
	case ErrPermanent:
		return e.Kind == KindPermanent
	case ErrInvalid:
		return e.Kind == KindInvalid
	case ErrUnsupported:
		return e.Kind == KindUnsupported
	}
	return false
}

// invalidf makes an error about the caller's input; field names the culprit.
func invalidf(op, field, format string, args ...any) error {
	return &Error{Op: op, Target: field, Kind: KindInvalid, Err: fmt.Errorf(format, args...)}
}

// explained replaces a cause's text by one that helps, and keeps the cause.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

// statusError is an HTTP answer that carries no result.
type statusError struct {
	code      int
	errorType string // Prometheus's errorType, "" when the body had none
	message   string // the server's words, shortened
}

func (e *statusError) Error() string {
	msg := fmt.Sprintf("status %d", e.code)
	if text := http.StatusText(e.code); text != "" {
		msg += " " + text
	}
	if e.message != "" {
		msg += ": " + e.message
	}
	return msg
}

// kind classifies the status after RFC 9110 and the codes documented in
// https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview.
func (e *statusError) kind() Kind {
	switch e.code {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return KindUnsupported
	case http.StatusBadRequest, http.StatusUnprocessableEntity,
		http.StatusRequestURITooLong, http.StatusRequestEntityTooLarge:
		return KindInvalid
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return KindTemporary
	}
	if e.code >= 500 {
		return KindTemporary
	}
	return KindPermanent
}

// classify turns a failure of the API client into an *Error. A nil error and
// an *Error pass as they are.
func classify(op, target string, err error) error {
	if err == nil {
		return nil
	}
	if own := (*Error)(nil); errors.As(err, &own) {
		return err
	}
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err // its text repeats the URL, and with GET the whole query
	}
	kind, cause := diagnose(err)
	return &Error{Op: op, Target: target, Kind: kind, Err: cause}
}

// diagnose tells the kind of err and, where the plain text would leave a user
// in the dark, explains it.
func diagnose(err error) (Kind, error) {
	var (
		status   *statusError
		api      *promv1.Error
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		cert     *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		netErr   net.Error
		pathErr  *fs.PathError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return KindPermanent, err
	case errors.Is(err, context.DeadlineExceeded):
		return KindTemporary, &explained{"no answer in time (" + err.Error() + ")", err}
	case errors.Is(err, ErrTooLarge):
		return KindInvalid, err
	case errors.As(err, &status):
		return status.kind(), explainStatus(status)
	case errors.As(err, &api):
		return diagnoseAPI(api)
	case errors.Is(err, syscall.ECONNREFUSED):
		return KindTemporary, &explained{"connection refused (is Prometheus running there? check host and port)", err}
	case errors.As(err, &dns):
		return KindTemporary, &explained{"host " + dns.Name + " not found (" + dns.Err + "); inside a cluster use SERVICE.NAMESPACE", err}
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &cert):
		return KindPermanent, &explained{err.Error() + " (set the CA file or the server name)", err}
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return KindPermanent, &explained{"the server does not speak TLS on this port (http:// instead of https://?)", err}
	case errors.As(err, &pathErr):
		return KindPermanent, err // a credential file that cannot be read
	case errors.As(err, &netErr):
		return KindTemporary, err
	}
	// What is left is a connection that broke in the middle.
	return KindTemporary, err
}

func explainStatus(e *statusError) error {
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &explained{e.Error() + " (check the bearer token, user or password)", e}
	case http.StatusNotFound:
		return &explained{e.Error() + " (no Prometheus API below this URL; is a path prefix missing?)", e}
	case http.StatusRequestURITooLong:
		return &explained{e.Error() + " (a proxy turns POST away; allow POST on /api/v1/query)", e}
	}
	return e
}

func diagnoseAPI(e *promv1.Error) (Kind, error) {
	switch e.Type {
	case promv1.ErrBadData, promv1.ErrExec:
		return KindInvalid, e
	case promv1.ErrTimeout, promv1.ErrCanceled, promv1.ErrServer, "internal", "unavailable":
		return KindTemporary, e
	case "not_found":
		return KindUnsupported, e
	case promv1.ErrBadResponse:
		// The client library knows no strings, which PromQL has.
		if strings.Contains(e.Msg, "unexpected value type") {
			return KindInvalid, &explained{"the query answers a string; ask for a vector, matrix or scalar", e}
		}
		return KindUnsupported, &explained{"what answers there is no Prometheus API (" + e.Msg + ")", e}
	}
	return KindPermanent, e
}
