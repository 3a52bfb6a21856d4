package testutil

import (
	"cmp"
	"encoding/json"
	"path/filepath"
)

// object is a JSON object; JSON is YAML too.
type object = map[string]any

// jaegerV2Config is the collector configuration of Jaeger v2: receivers for
// OTLP and Zipkin, one storage, the query service. Spans are written as they
// arrive, without a batch, so that what is acknowledged can be queried.
func jaegerV2Config(a jaegerAddrs, o JaegerOptions) ([]byte, error) {
	storage := object{"memory": object{"max_traces": o.MaxTraces}}
	if o.BadgerDir != "" {
		storage = object{"badger": object{
			"ephemeral": false,
			"directories": object{
				"keys":   filepath.Join(o.BadgerDir, "keys"),
				"values": filepath.Join(o.BadgerDir, "values"),
			},
		}}
	}
	at := func(addr string) object { return object{"endpoint": addr} }
	return json.Marshal(object{
		"service": object{
			"extensions": []string{"jaeger_storage", "jaeger_query", "healthcheckv2"},
			"pipelines": object{"traces": object{
				"receivers": []string{"otlp", "zipkin"},
				"exporters": []string{"jaeger_storage_exporter"},
			}},
			"telemetry": object{
				"metrics": object{"level": "none"},
				"logs":    object{"level": "info"},
			},
		},
		"extensions": object{
			"healthcheckv2":  object{"use_v2": true, "http": at(a.admin)},
			"jaeger_storage": object{"backends": object{"store": storage}},
			"jaeger_query": object{
				"storage":   object{"traces": "store"},
				"base_path": cmp.Or(o.BasePath, "/"),
				"http":      at(a.queryHTTP),
				"grpc":      at(a.queryGRPC),
			},
		},
		"receivers": object{
			"otlp":   object{"protocols": object{"grpc": at(a.otlpGRPC), "http": at(a.otlpHTTP)}},
			"zipkin": at(a.zipkin),
		},
		"exporters": object{"jaeger_storage_exporter": object{"trace_storage": "store"}},
	})
}
