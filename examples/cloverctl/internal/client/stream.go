package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxEvent bounds one event of a stream.
const maxEvent = 8 << 20

// errSilent says that a stream has not even given a sign of life.
var errSilent = errors.New("the stream has been silent for too long")

// Stream reads server-sent events (HTML, §9.2) until the stream or ctx ends;
// both are no error. newEvent returns the message to decode an event into,
// yield takes it together with the event's own JSON on one line. A stream
// that breaks or goes silent ends with an UnreachableError, one that the
// server ends with a google.rpc.Status with a StatusError.
func (c *Client) Stream(ctx context.Context, route string, query url.Values, newEvent func() proto.Message, yield func(proto.Message, []byte) error) error {
	if len(query) > 0 {
		route += "?" + query.Encode()
	}
	silence := c.Silence
	if silence == 0 {
		silence = DefaultSilence
	}
	quiet, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	err := c.events(quiet, route, func(data []byte) error {
		return event(data, newEvent(), yield)
	}, func() { watchdog.Reset(silence) })
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // the end that was asked for
	case errors.Is(context.Cause(quiet), errSilent):
		return &UnreachableError{c.Address, errSilent}
	}
	return err
}

// events calls yield with the data of each event and alive with each line.
func (c *Client) events(ctx context.Context, route string, yield func([]byte) error, alive func()) error {
	res, err := c.do(ctx, http.MethodGet, route, nil, "text/event-stream")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return &UnreachableError{c.Address, err}
		}
		return statusError(res, raw)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxEvent)
	var data []byte
	for lines.Scan() {
		alive()
		if len(lines.Bytes()) > 0 {
			data = appendData(data, lines.Bytes())
			continue
		}
		if len(data) > 0 {
			if err := yield(data); err != nil {
				return err
			}
		}
		data = data[:0]
	}
	if err := lines.Err(); err != nil {
		return &UnreachableError{c.Address, err}
	}
	return nil
}

// appendData adds a line to the data of an event if it is of the field data.
func appendData(data, line []byte) []byte {
	value, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok || len(data)+len(value) > maxEvent {
		return data // a comment, another field, or an event out of bounds
	}
	if len(data) > 0 {
		data = append(data, '\n')
	}
	return append(data, bytes.TrimPrefix(value, []byte(" "))...)
}

// event decodes {"result": …} and {"error": …}, as grpc-gateway frames a
// stream, and the message alone.
func event(data []byte, m proto.Message, yield func(proto.Message, []byte) error) error {
	var frame struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    codes.Code `json:"code"`
			Message string     `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &frame); err != nil {
		return fmt.Errorf("event %.80q: %w", data, err)
	}
	if frame.Error != nil {
		return &StatusError{frame.Error.Code, frame.Error.Message}
	}
	if frame.Result == nil {
		frame.Result = data
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(frame.Result, m); err != nil {
		return fmt.Errorf("event %.80q: %w", data, err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, frame.Result); err != nil {
		return fmt.Errorf("event %.80q: %w", data, err)
	}
	return yield(m, line.Bytes())
}
