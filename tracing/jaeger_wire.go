package tracing

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of jaeger.api_v3 (jaeger-idl, proto/api_v3/query_service.proto)
// by field number. Zero values are left out, as proto3 does.

func encodeGetTrace(id TraceID) []byte {
	const traceID, rawTraces = 1, 4
	return appendTrue(appendText(nil, traceID, id.String()), rawTraces)
}

func encodeGetOperations(service string) []byte {
	const serviceField = 1
	return appendText(nil, serviceField, service)
}

func encodeFindTraces(q jaegerQuery) []byte {
	const (
		query                           = 1 // of FindTracesRequest
		serviceName, operationName      = 1, 2
		attributes, mapKey, mapValue    = 3, 1, 2
		startMin, startMax              = 4, 5
		durationMin, durationMax, depth = 6, 7, 8
		rawTraces                       = 9
	)
	b := appendText(nil, serviceName, q.Service)
	b = appendText(b, operationName, q.Operation)
	for _, key := range slices.Sorted(maps.Keys(q.Tags)) {
		b = appendMessage(b, attributes, appendText(appendText(nil, mapKey, key), mapValue, q.Tags[key]))
	}
	b = appendMessage(b, startMin, encodeSeconds(q.From.Unix(), q.From.Nanosecond()))
	b = appendMessage(b, startMax, encodeSeconds(q.To.Unix(), q.To.Nanosecond()))
	if q.MinDuration > 0 {
		b = appendMessage(b, durationMin, encodeDuration(q.MinDuration))
	}
	if q.MaxDuration > 0 {
		b = appendMessage(b, durationMax, encodeDuration(q.MaxDuration))
	}
	b = appendInt(b, depth, int64(q.limit))
	return appendMessage(nil, query, appendTrue(b, rawTraces))
}

func encodeDuration(d time.Duration) []byte {
	return encodeSeconds(int64(d/time.Second), int(d%time.Second))
}

// encodeSeconds writes google.protobuf.Timestamp and Duration.
func encodeSeconds(seconds int64, nanos int) []byte {
	const secondsField, nanosField = 1, 2
	return appendInt(appendInt(nil, secondsField, seconds), nanosField, int64(nanos))
}

func appendText(b []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendMessage(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendTrue(b []byte, field protowire.Number) []byte { return appendInt(b, field, 1) }

func decodeServices(b []byte) (list []string, err error) {
	const services = 1
	err = eachBytes(b, func(field protowire.Number, v []byte) error {
		if field == services {
			list = append(list, valid(string(v)))
		}
		return nil
	})
	return list, err
}

func decodeOperations(b []byte) (list []Operation, err error) {
	const operations, name, spanKind = 1, 1, 2
	err = eachBytes(b, func(field protowire.Number, v []byte) error {
		if field != operations {
			return nil
		}
		var o Operation
		err := eachBytes(v, func(field protowire.Number, v []byte) error {
			switch field {
			case name:
				o.Name = valid(string(v))
			case spanKind:
				o.Kind = ParseKind(string(v))
			}
			return nil
		})
		list = append(list, o)
		return err
	})
	return list, err
}

// eachBytes calls f for each field of a message that is a string, bytes or a
// message, and skips the others.
func eachBytes(b []byte, f func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(field, v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
