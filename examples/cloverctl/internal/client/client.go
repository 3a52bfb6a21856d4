// Package client talks REST to a clover-controller.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Where routes begin: those with a slash below root, others are of the
// visibility area.
const (
	root       = "/api/v1"
	visibility = root + "/visibility/"
)

// maxAnswer bounds an answer that is not a stream.
const maxAnswer = 256 << 20

// Client calls one controller. Its methods may be called concurrently.
type Client struct {
	// Address is the base URL.
	Address string
	// Timeout is the longest time for an answer that is not a stream.
	Timeout time.Duration
	// Silence is how long a stream may say nothing before it counts as lost.
	// 0: DefaultSilence.
	Silence time.Duration
	HTTP    *http.Client
}

// DefaultSilence is four times the interval of the server's signs of life.
const DefaultSilence = time.Minute

// StatusError is an answer that is not a success.
type StatusError struct {
	Code    codes.Code
	Message string
}

// Error returns the server's words.
func (e *StatusError) Error() string { return e.Message }

// UnreachableError says that nobody answered.
type UnreachableError struct {
	Address string
	Err     error
}

// Error says what to do.
func (e *UnreachableError) Error() string {
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return fmt.Sprintf("clover-controller at %s has not answered in time\nGive it longer with --timeout, or choose another address with --controller.", e.Address)
	}
	return fmt.Sprintf("clover-controller does not answer at %s: %v\nIs it running (go run ./examples/standalone)? Choose another address with --controller or CLOVER_CONTROLLER.", e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Get reads a route. It returns the answer as the API gave it, besides
// decoding it into out.
func (c *Client) Get(ctx context.Context, route string, query url.Values, out proto.Message) ([]byte, error) {
	if len(query) > 0 {
		route += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, route, nil, out)
}

// Raw reads a route as the API gives it.
func (c *Client) Raw(ctx context.Context, route string) ([]byte, error) {
	return c.call(ctx, http.MethodGet, route, nil, nil)
}

// Send changes something.
func (c *Client) Send(ctx context.Context, method, route string, in, out proto.Message) ([]byte, error) {
	body, err := protojson.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.call(ctx, method, route, body, out)
}

func (c *Client) call(ctx context.Context, method, route string, body []byte, out proto.Message) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	res, err := c.do(ctx, method, route, body, "application/json")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, &UnreachableError{c.Address, err}
	}
	if res.StatusCode != http.StatusOK {
		return raw, statusError(res, raw)
	}
	if out == nil {
		return raw, nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, out); err != nil {
		return raw, fmt.Errorf("%s does not answer as a clover-controller does: %w", c.Address, err)
	}
	return raw, nil
}

func (c *Client) do(ctx context.Context, method, route string, body []byte, accept string) (*http.Response, error) {
	base := visibility
	if strings.HasPrefix(route, "/") {
		base = root
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Address, "/")+base+route, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("--controller %q: %w", c.Address, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.HTTP.Do(req)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, ctx.Err()
		}
		return nil, &UnreachableError{c.Address, err}
	}
	return res, nil
}

// statusError reads a google.rpc.Status, or says what came instead.
func statusError(res *http.Response, raw []byte) error {
	var st struct {
		Code    codes.Code `json:"code"`
		Message string     `json:"message"`
	}
	if err := json.Unmarshal(raw, &st); err != nil || st.Message == "" {
		return &StatusError{codes.Unknown, fmt.Sprintf("%s answered %s: %.200q", res.Request.URL, res.Status, raw)}
	}
	return &StatusError{st.Code, st.Message}
}
