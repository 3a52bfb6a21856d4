package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

// jaegerV3HTTP is api_v3 as JSON; see jaeger-idl's
// proto/api_v3/query_service.proto and the HTTP gateway in Jaeger's
// cmd/query/app/apiv3.
type jaegerV3HTTP struct{ http *jaegerHTTP }

func (j jaegerV3HTTP) services(ctx context.Context) (list []string, err error) {
	err = j.http.get(ctx, "list services", "/api/v3/services", nil, func(dec *json.Decoder) error {
		_, err := decodeList(dec, "services", &list) // left out when empty
		return err
	})
	return list, err
}

func (j jaegerV3HTTP) operations(ctx context.Context, service string) ([]Operation, error) {
	var list []kindedOperation
	query := url.Values{"service": {service}}
	err := j.http.get(ctx, "list operations", "/api/v3/operations", query, func(dec *json.Decoder) error {
		_, err := decodeList(dec, "operations", &list) // left out when empty
		return err
	})
	return toOperations(list), err
}

func (j jaegerV3HTTP) trace(ctx context.Context, id TraceID, into *jaegerAnswer) error {
	query := url.Values{"raw_traces": {"true"}}
	return j.traces(ctx, "read trace", "/api/v3/traces/"+id.String(), query, into)
}

func (j jaegerV3HTTP) search(ctx context.Context, q jaegerQuery, into *jaegerAnswer) error {
	if len(q.Tags) > 0 {
		return jaegerLegacy(j).search(ctx, q, into) // see JaegerProtocol
	}
	limit := strconv.Itoa(q.limit)
	query := url.Values{
		"query.service_name":   {q.Service},
		"query.start_time_min": {q.From.UTC().Format(time.RFC3339Nano)},
		"query.start_time_max": {q.To.UTC().Format(time.RFC3339Nano)},
		"query.num_traces":     {limit}, // what Jaeger reads
		"query.search_depth":   {limit}, // what its specification says
		"query.raw_traces":     {"true"},
	}
	setIf(query, "query.operation_name", q.Operation, q.Operation != "")
	setIf(query, "query.duration_min", q.MinDuration.String(), q.MinDuration > 0)
	setIf(query, "query.duration_max", q.MaxDuration.String(), q.MaxDuration > 0)
	return j.traces(ctx, opSearch, "/api/v3/traces", query, into)
}

func setIf(query url.Values, name, value string, is bool) {
	if is {
		query.Set(name, value)
	}
}

// traces reads an answer of one or more {"result":{"resourceSpans":[…]}}. No
// trace is no error.
func (j jaegerV3HTTP) traces(ctx context.Context, op, path string, query url.Values, into *jaegerAnswer) error {
	err := j.http.get(ctx, op, path, query, func(dec *json.Decoder) error {
		return decodeV3Traces(dec, into)
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func decodeV3Traces(dec *json.Decoder, into *jaegerAnswer) error {
	for {
		err := decodeV3Chunk(dec, into)
		if err != nil {
			return err
		}
		if !dec.More() {
			return trailing(dec)
		}
	}
}

// trailing checks that nothing but the end of the answer is left.
func trailing(dec *json.Decoder) error {
	switch token, err := dec.Token(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("%w: %v after the end", errShape, token)
	}
}

func decodeV3Chunk(dec *json.Decoder, into *jaegerAnswer) error {
	return decodeObject(dec, func(name string) (bool, error) {
		switch name {
		case "result":
			return true, decodeObject(dec, func(name string) (bool, error) {
				if name != "resourceSpans" {
					return false, nil
				}
				return true, decodeArray(dec, func() error { return decodeResourceSpans(dec, into) })
			})
		case "error":
			return true, decodeV3Error(dec)
		}
		return false, nil
	})
}

// decodeV3Error reads an error that came after a part of the answer.
func decodeV3Error(dec *json.Decoder) error {
	var failure struct {
		HTTPCode int    `json:"httpCode"`
		Message  string `json:"message"`
	}
	if err := dec.Decode(&failure); err != nil {
		return err
	}
	kind := KindOfHTTPStatus(failure.HTTPCode)
	if kind == ErrorPermanent || kind == ErrorUnknown {
		kind = ErrorTemporary
	}
	return &Error{Op: "read answer", Kind: kind, Err: errors.New(failure.Message)}
}

// decodeResourceSpans reads one element at a time, so that the JSON of a
// large answer is never held as a whole.
func decodeResourceSpans(dec *json.Decoder, into *jaegerAnswer) error {
	var element json.RawMessage
	if err := dec.Decode(&element); err != nil {
		return err
	}
	var chunk coltracepb.ExportTraceServiceRequest
	body := slices.Concat([]byte(`{"resourceSpans":[`), element, []byte(`]}`))
	if err := unmarshalJSON(body, &chunk); err != nil {
		return fmt.Errorf("%w: %w", errShape, err)
	}
	into.addOTLP(chunk.ResourceSpans)
	return nil
}
