// Package rest is the HTTP seam that the clients of Halyard and Gate share:
// bounded JSON in and out, and errors of one kind.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/opnfv/clover/spinnaker"
)

// Defaults of Options.
const (
	DefaultTimeout  = 30 * time.Second
	DefaultMaxBytes = 32 << 20
	maxMessageBytes = 500
)

// Options of a Client.
type Options struct {
	// URL of the server, http or https, without user and password.
	URL string
	// HTTP makes the requests. nil: a client of its own.
	HTTP *http.Client
	// Header is sent with each request.
	Header http.Header
	// Timeout of one request with its answer. 0: DefaultTimeout.
	Timeout time.Duration
	// MaxBytes bounds an answer. 0: DefaultMaxBytes.
	MaxBytes int64
}

// Client makes requests to one server. It is safe for concurrent use.
type Client struct {
	base *url.URL
	opts Options
}

// New checks the options.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https"):
		return nil, &spinnaker.FieldError{Field: "URL", Msg: "want the server's address, e.g. http://localhost:8084"}
	case base.User != nil:
		return nil, &spinnaker.FieldError{Field: "URL", Msg: "has a user or password; set the header Authorization instead, which is not logged"}
	case base.RawQuery != "" || base.Fragment != "":
		return nil, &spinnaker.FieldError{Field: "URL", Msg: "has a query or fragment; want the address only"}
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	// A redirect is a login page, or a server that nobody named: what the
	// headers hold does not go there.
	same := *o.HTTP
	same.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTP = &same
	return &Client{base: base, opts: o}, nil
}

// Call is one request.
type Call struct {
	// Op and Target are for errors; Target "" is the server's address.
	Op, Target string
	Method     string
	// Path are the segments, not escaped; a last "" ends the path with "/".
	Path  []string
	Query url.Values
	// Body is sent as JSON; nil: none.
	Body any
	// Form is sent instead of Body.
	Form url.Values
	// Accept is what the answer is read as; "" is application/json. Else the
	// answer must be of that type and is passed as it is.
	Accept string
	// Hide is applied to what the server says about a refusal, e.g. to hide
	// the secrets of the body. nil: it is passed as it is.
	Hide func(string) string
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a request and returns an answer of status 2xx.
func (c *Client) Do(ctx context.Context, call Call) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := c.request(ctx, call)
	if err != nil {
		return Answer{}, c.fault(call, spinnaker.ErrInvalid, 0, err)
	}
	res, err := c.opts.HTTP.Do(req)
	if err != nil {
		return Answer{}, c.fault(call, spinnaker.ErrTemporary, 0, spinnaker.Cause(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, c.opts.MaxBytes+1))
	if err != nil {
		return Answer{}, c.fault(call, spinnaker.ErrTemporary, res.StatusCode, fmt.Errorf("the answer broke off: %w", err))
	}
	if int64(len(body)) > c.opts.MaxBytes {
		return Answer{}, c.fault(call, spinnaker.ErrProtocol, res.StatusCode, fmt.Errorf("the answer exceeds %d bytes", c.opts.MaxBytes))
	}
	answer := Answer{Status: res.StatusCode, Header: res.Header, Body: body}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return answer, c.refused(call, answer)
	}
	return answer, c.checkType(call, answer)
}

// JSON makes a request and decodes the answer into out. An empty answer
// leaves out as it is.
func (c *Client) JSON(ctx context.Context, call Call, out any) error {
	answer, err := c.Do(ctx, call)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(answer.Body)) == 0 || out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return c.fault(call, spinnaker.ErrProtocol, answer.Status, errors.New("the answer is not the JSON that it should be; is this the right server?"))
	}
	return nil
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	target := c.base.JoinPath(escape(call.Path)...)
	target.RawQuery = call.Query.Encode()
	var body io.Reader
	contentType := ""
	switch {
	case call.Form != nil:
		body, contentType = strings.NewReader(call.Form.Encode()), "application/x-www-form-urlencoded"
	case call.Body != nil:
		data, err := encode(call.Body)
		if err != nil {
			return nil, err
		}
		body, contentType = bytes.NewReader(data), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target.String(), body)
	if err != nil {
		return nil, err
	}
	for k, v := range c.opts.Header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", cmp.Or(call.Accept, "application/json"))
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

// encode keeps what is JSON already, which may hold secrets that Marshal
// would hide.
func encode(body any) ([]byte, error) {
	if raw, ok := body.(json.RawMessage); ok {
		return raw, nil
	}
	return json.Marshal(body)
}

// escape keeps names with "/" or "%" in one segment, and "." and ".." from
// being steps.
func escape(path []string) []string {
	out := make([]string, len(path))
	for i, p := range path {
		switch p {
		case ".", "..":
			out[i] = strings.ReplaceAll(p, ".", "%2E")
		case "":
			out[i] = "/" // the end
		default:
			out[i] = url.PathEscape(p)
		}
	}
	return out
}

func (c *Client) fault(call Call, kind error, status int, err error) error {
	return &spinnaker.Error{Op: call.Op, Target: cmp.Or(call.Target, c.base.String()), Kind: kind, Status: status, Err: err}
}

// checkType refuses an answer that is a page: of a proxy, or of a login.
func (c *Client) checkType(call Call, answer Answer) error {
	if len(bytes.TrimSpace(answer.Body)) == 0 || call.Accept != "" {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == "application/json" || strings.HasSuffix(kind, "+json") {
		return nil
	}
	err := fmt.Errorf("the answer is %s, want JSON: a proxy or a login page stands before the server", cmp.Or(clip(kind), "of no type"))
	return c.fault(call, spinnaker.ErrProtocol, answer.Status, err)
}

// refused makes an error of a status that is not 2xx.
func (c *Client) refused(call Call, answer Answer) error {
	var kind error
	switch s := answer.Status; {
	case s == http.StatusNotFound:
		kind = spinnaker.ErrNotFound
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s >= 300 && s < 400:
		kind = spinnaker.ErrDenied // a redirect leads to a login
	case s == http.StatusConflict:
		kind = spinnaker.ErrExists
	case s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s >= 500:
		kind = spinnaker.ErrTemporary
	case s >= 400:
		kind = spinnaker.ErrInvalid
	default:
		kind = spinnaker.ErrProtocol
	}
	return c.fault(call, kind, answer.Status, errors.New(call.message(answer)))
}

// message returns what the server says about a refusal, bounded: the message
// of Spring's error object, where it is one.
func (call Call) message(answer Answer) string {
	status := fmt.Sprintf("%d %s", answer.Status, http.StatusText(answer.Status))
	var page struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	if json.Unmarshal(answer.Body, &page) != nil {
		return status
	}
	if text := cmp.Or(page.Message, page.Error); text != "" && text != http.StatusText(answer.Status) {
		if call.Hide != nil {
			text = call.Hide(text)
		}
		return status + ": " + clip(text)
	}
	return status
}

func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxMessageBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessageBytes], "") + "…"
}
