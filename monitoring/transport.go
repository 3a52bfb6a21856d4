package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/api"
)

// shownBody is how much of a server's error text goes into an error.
const shownBody = 300

// apiClient is the api.Client under the Prometheus API: it adds credentials,
// bounds bodies and keeps the status of a failed request.
type apiClient struct {
	urls api.Client // builds URLs only
	http *http.Client
	opts *Options
}

var _ api.Client = (*apiClient)(nil)

func newAPIClient(opts *Options, base *url.URL) (*apiClient, error) {
	rt, err := opts.transport()
	if err != nil {
		return nil, err
	}
	urls, err := api.NewClient(api.Config{Address: base.String()})
	if err != nil {
		return nil, &Error{Op: "options", Target: "URL", Kind: KindInvalid, Err: err}
	}
	return &apiClient{urls: urls, http: &http.Client{Transport: rt, CheckRedirect: stayHome}, opts: opts}, nil
}

// stayHome follows redirects on the same host only: another one was not
// asked for, and is not to get credentials.
func stayHome(req *http.Request, via []*http.Request) error {
	if to := req.URL.Hostname(); to != via[0].URL.Hostname() {
		return &Error{Op: "redirect", Target: to, Kind: KindPermanent, Err: errors.New("another host, which is not followed; a login page? Else give its URL")}
	}
	if len(via) >= 5 {
		return &Error{Op: "redirect", Target: req.URL.Host, Kind: KindPermanent, Err: errors.New("too many redirects")}
	}
	return nil
}

// URL implements api.Client.
func (c *apiClient) URL(ep string, args map[string]string) *url.URL { return c.urls.URL(ep, args) }

// Do implements api.Client.
func (c *apiClient) Do(ctx context.Context, req *http.Request) (*http.Response, []byte, error) {
	req = req.WithContext(ctx)
	if err := c.opts.authorize(req); err != nil {
		return nil, nil, fmt.Errorf("credentials: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	limit := c.opts.MaxResponseBytes
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return resp, nil, err
	case int64(len(body)) > limit:
		return resp, nil, fmt.Errorf("%w: more than %d bytes; narrow the selection or raise MaxResponseBytes", ErrTooLarge, limit)
	case resp.StatusCode/100 == 2:
		return resp, body, nil
	}
	return resp, nil, failure(resp.StatusCode, body)
}

// failure makes an error of an answer that is no success, with Prometheus's
// own error text where there is one.
func failure(code int, body []byte) error {
	e := &statusError{code: code}
	var answer struct {
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Error != "" {
		e.errorType, e.message = answer.ErrorType, shorten(answer.Error)
		return e
	}
	if text := string(body); utf8.ValidString(text) {
		e.message = shorten(strings.Join(strings.Fields(text), " "))
	}
	return e
}

func shorten(s string) string {
	if len(s) <= shownBody {
		return s
	}
	cut := shownBody
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// isUnsupported reports whether the server lacks the endpoint.
func isUnsupported(err error) bool { return errors.Is(err, ErrUnsupported) }
