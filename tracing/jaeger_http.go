package tracing

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Causes that the client itself acts on.
var (
	errRefused     = errors.New("credentials refused")
	errUnreachable = errors.New("cannot be reached")
	errTooLarge    = errors.New("answer is larger than MaxResponseBytes")
	errHTML        = errors.New("the answer is an HTML page, not Jaeger's API: a wrong base path or a login page")
	errNoService   = errors.New("a service is needed")
)

// jaegerHTTP does what both HTTP APIs need.
type jaegerHTTP struct {
	client   *http.Client
	base     *url.URL
	auth     jaegerAuth
	timeout  time.Duration
	maxBytes int64
}

func newJaegerHTTP(base *url.URL, tlsConfig *tls.Config, auth jaegerAuth, o JaegerOptions) *jaegerHTTP {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
	}
	return &jaegerHTTP{
		client:   &http.Client{Transport: transport, CheckRedirect: checkRedirect},
		base:     base,
		auth:     auth,
		timeout:  o.Timeout,
		maxBytes: o.MaxResponseBytes,
	}
}

// checkRedirect follows redirects on the same host only: another one is that
// of a login page, and is not to get the headers.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return fmt.Errorf("%w: redirected to %s, a login page?", errRefused, req.URL.Host)
	}
	if len(via) >= 5 {
		return errors.New("too many redirects")
	}
	return nil
}

// get reads an answer with decode. An answer that says that nothing was found
// gives an error that matches ErrNotFound.
func (c *jaegerHTTP) get(ctx context.Context, op, path string, query url.Values, decode func(*json.Decoder) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := *c.base
	u.Path += path
	u.RawQuery = query.Encode()
	fail := func(kind ErrorKind, err error) error {
		u.RawQuery = "" // it is long and says nothing about the cause
		return &Error{Op: op, Target: u.Redacted(), Kind: kind, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(ErrorInvalid, err)
	}
	req.Header.Set("Accept", "application/json")
	if err := c.auth.apply(func(name, value string) { setHeader(req, name, value) }); err != nil {
		return fail(ErrorInvalid, err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fail(classifyDial(ctx, err))
	}
	defer resp.Body.Close()
	body := bufio.NewReader(&limitedReader{r: resp.Body, left: c.maxBytes})
	if resp.StatusCode != http.StatusOK {
		retryAfter := resp.Header.Get("Retry-After")
		kind, err := refusal(resp.StatusCode, body)
		return withRetryAfter(fail(kind, err), retryAfter)
	}
	if isHTML(resp.Header, body) {
		return fail(ErrorPermanent, errHTML)
	}
	if err := decode(json.NewDecoder(body)); err != nil {
		return fail(classifyBody(ctx, err), err)
	}
	return nil
}

func setHeader(req *http.Request, name, value string) {
	if strings.EqualFold(name, "host") {
		req.Host = value
		return
	}
	req.Header.Set(name, value)
}

func withRetryAfter(err error, header string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || header == "" || e.Kind != ErrorTemporary {
		return err
	}
	if wait, parseErr := time.ParseDuration(header + "s"); parseErr == nil && wait > 0 {
		e.RetryAfter = wait
	}
	return e
}

// classifyDial classifies the failure of a request that got no answer.
func classifyDial(ctx context.Context, err error) (ErrorKind, error) {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which the Error has
	}
	if cause := ctx.Err(); cause != nil {
		return Classify(cause), fmt.Errorf("%w: %w", errUnreachable, cause)
	}
	if errors.Is(err, errRefused) {
		return ErrorPermanent, err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ErrorPermanent, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return ErrorPermanent, fmt.Errorf("%w: no TLS there, want http:// in the URL? %w", errUnreachable, err)
	}
	return ErrorTemporary, fmt.Errorf("%w: %w", errUnreachable, err)
}

// classifyBody classifies an error met in reading an answer that began well.
func classifyBody(ctx context.Context, err error) ErrorKind {
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case ctx.Err() != nil:
		return Classify(ctx.Err())
	case Classify(err) != ErrorUnknown:
		return Classify(err)
	case errors.Is(err, errTooLarge), isType, isSyntax && syntax.Error() != "unexpected EOF":
		return ErrorPermanent
	case errors.Is(err, errShape):
		return ErrorPermanent
	}
	return ErrorTemporary // the connection broke
}

// refusal turns a status other than 200 and its body into an error.
func refusal(status int, body *bufio.Reader) (ErrorKind, error) {
	text, _ := io.ReadAll(io.LimitReader(body, 64<<10))
	message, isJaeger := jaegerMessage(text)
	cause := fmt.Errorf("%d %s%s", status, http.StatusText(status), message)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrorPermanent, fmt.Errorf("%w: %w", errRefused, cause)
	case status == http.StatusNotFound && isJaeger:
		return ErrorInvalid, fmt.Errorf("%w: %w", ErrNotFound, cause)
	case status == http.StatusNotFound:
		return ErrorUnsupported, cause
	case status == http.StatusInternalServerError && strings.Contains(message, jaegerDepthMessage):
		return ErrorInvalid, fmt.Errorf("%w: %w", errDepth, cause)
	case status == http.StatusInternalServerError:
		return ErrorTemporary, cause // Jaeger says this when its storage fails
	case status < http.StatusBadRequest:
		return ErrorPermanent, cause
	}
	return KindOfHTTPStatus(status), cause
}

// jaegerMessage reads the text of an error as the APIs write them, the legacy
// one {"errors":[{"code":404,"msg":"…"}]}, api_v3 {"error":{"message":"…"}}.
func jaegerMessage(body []byte) (message string, ok bool) {
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
		Errors []struct {
			Msg string `json:"msg"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", false
	}
	message = answer.Error.Message
	for _, e := range answer.Errors {
		message = e.Msg
	}
	if message == "" {
		return "", false
	}
	return ": " + message, true
}

// isHTML looks at the header and at the first byte that is not white space.
func isHTML(header http.Header, body *bufio.Reader) bool {
	if kind, _, err := mime.ParseMediaType(header.Get("Content-Type")); err == nil && kind == "text/html" {
		return true
	}
	start, _ := body.Peek(64)
	return bytes.HasPrefix(bytes.TrimLeft(start, " \t\r\n"), []byte("<"))
}

// limitedReader fails with errTooLarge where io.LimitedReader would end.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		// An answer of exactly the limit is not too large.
		var one [1]byte
		if n, err := l.r.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}
