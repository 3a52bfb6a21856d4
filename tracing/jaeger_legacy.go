package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// jaegerLegacy is the JSON API of Jaeger's UI; see Jaeger's
// cmd/query/app/http_handler.go, query_parser.go and internal/uimodel.
type jaegerLegacy struct{ http *jaegerHTTP }

func (j jaegerLegacy) services(ctx context.Context) (list []string, err error) {
	err = j.http.get(ctx, "list services", "/api/services", nil, func(dec *json.Decoder) error {
		return decodeData(dec, &list)
	})
	return list, err
}

func (j jaegerLegacy) operations(ctx context.Context, service string) ([]Operation, error) {
	var list []kindedOperation
	query := url.Values{"service": {service}}
	err := j.http.get(ctx, "list operations", "/api/operations", query, func(dec *json.Decoder) error {
		return decodeData(dec, &list)
	})
	return toOperations(list), err
}

// decodeData reads {"data":[…]}; data is null for an empty list, but there.
func decodeData[T any](dec *json.Decoder, list *[]T) error {
	found, err := decodeList(dec, "data", list)
	if err == nil && !found {
		return fmt.Errorf("%w: no data", errShape)
	}
	return err
}

func (j jaegerLegacy) trace(ctx context.Context, id TraceID, into *jaegerAnswer) error {
	return j.traces(ctx, "read trace", "/api/traces/"+id.String(), url.Values{"raw": {"true"}}, into)
}

func (j jaegerLegacy) search(ctx context.Context, q jaegerQuery, into *jaegerAnswer) error {
	query := url.Values{
		"service": {q.Service},
		"start":   {strconv.FormatInt(q.From.UnixMicro(), 10)},
		"end":     {strconv.FormatInt(q.To.UnixMicro(), 10)},
		"limit":   {strconv.Itoa(q.limit)},
		"raw":     {"true"},
	}
	setIf(query, "operation", q.Operation, q.Operation != "")
	setIf(query, "minDuration", q.MinDuration.String(), q.MinDuration > 0)
	setIf(query, "maxDuration", q.MaxDuration.String(), q.MaxDuration > 0)
	if len(q.Tags) > 0 {
		tags, err := json.Marshal(q.Tags)
		if err != nil {
			return &Error{Op: opSearch, Target: "Tags", Kind: ErrorInvalid, Err: err}
		}
		query.Set("tags", string(tags))
	}
	return j.traces(ctx, opSearch, "/api/traces", query, into)
}

// traces reads {"data":[{"traceID":…}],"errors":…}. No trace is no error.
func (j jaegerLegacy) traces(ctx context.Context, op, path string, query url.Values, into *jaegerAnswer) error {
	err := j.http.get(ctx, op, path, query, func(dec *json.Decoder) error {
		return decodeLegacyTraces(dec, into)
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func decodeLegacyTraces(dec *json.Decoder, into *jaegerAnswer) error {
	err := decodeObject(dec, func(name string) (bool, error) {
		switch name {
		case "data":
			return true, decodeArray(dec, func() error {
				var trace legacyTrace
				if err := dec.Decode(&trace); err != nil {
					return err
				}
				into.addLegacy(&trace)
				return nil
			})
		case "errors":
			return true, decodeLegacyErrors(dec)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	return trailing(dec)
}

// decodeLegacyErrors reads what Jaeger says beside its data. A trace that was
// not found is no error.
func decodeLegacyErrors(dec *json.Decoder) error {
	var list []struct {
		Code    int    `json:"code"`
		Msg     string `json:"msg"`
		TraceID string `json:"traceID"`
	}
	if err := dec.Decode(&list); err != nil {
		return err
	}
	for _, e := range list {
		if e.TraceID == "" {
			return &Error{Op: "read answer", Kind: ErrorTemporary, Err: fmt.Errorf("%d %s", e.Code, e.Msg)}
		}
	}
	return nil
}
