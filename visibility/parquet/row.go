package parquet

import (
	"strings"
	"unicode/utf8"
)

// row is a span in a file. Columns that can be told from others are there
// for those who ask by SQL: bucket, start, role, source, destination,
// mirrored.
type row struct {
	TraceID  string `parquet:"trace_id"` // hexadecimal
	SpanID   string `parquet:"span_id"`
	ParentID string `parquet:"parent_id,dict"` // "": a root
	KindCode int32  `parquet:"kind_code"`      // as in OTLP

	Bucket     int64 `parquet:"bucket,delta"`                       // start of the 10 s, Unix seconds
	StartNanos int64 `parquet:"start_ns,delta"`                     // since 1970
	Start      int64 `parquet:"start,timestamp(microsecond),delta"` // the same, for people
	Duration   int64 `parquet:"duration_ns"`

	Role        string `parquet:"role,dict"` // server, client or span; see visibility.Role
	Service     string `parquet:"service,dict"`
	Operation   string `parquet:"operation,dict"`
	URL         string `parquet:"url,dict"`
	URLTemplate string `parquet:"url_template,dict"`
	StatusCode  int32  `parquet:"status_code"`
	Method      string `parquet:"method,dict"`
	UserAgent   string `parquet:"user_agent,dict"`
	Cluster     string `parquet:"upstream_cluster,dict"`
	Node        string `parquet:"node,dict"`
	Kind        string `parquet:"kind,dict"`
	Source      string `parquet:"source,dict"`
	Destination string `parquet:"destination,dict"`
	Version     string `parquet:"version,dict"`
	Error       bool   `parquet:"error"`
	Mirrored    bool   `parquet:"mirrored"`

	RequestSize   int64  `parquet:"request_size"`
	ResponseSize  int64  `parquet:"response_size"`
	GRPCStatus    int64  `parquet:"grpc_status"`
	StatusMessage string `parquet:"status_message,dict"`
	Protocol      string `parquet:"protocol,dict"`
	Peer          string `parquet:"peer,dict"`
	RequestID     string `parquet:"request_id"`
	ResponseFlags string `parquet:"response_flags,dict"`
	Namespace     string `parquet:"namespace,dict"`
	Workload      string `parquet:"workload,dict"`
	Scope         string `parquet:"scope,dict"`

	Attributes []attribute `parquet:"attributes,list"`
	Resource   []attribute `parquet:"resource,list"`
	Events     []event     `parquet:"events,list"`
	Links      []link      `parquet:"links,list"`

	Exact []exact `parquet:"exact,list"`
}

type attribute struct {
	Key   string `parquet:"key,dict"`
	Value string `parquet:"value,dict"`
	Type  int32  `parquet:"type"` // see tracing.ValueType
}

type event struct {
	Time       int64       `parquet:"time_ns"`
	Name       string      `parquet:"name,dict"`
	Attributes []attribute `parquet:"attributes,list"`
}

type link struct {
	TraceID    string      `parquet:"trace_id"`
	SpanID     string      `parquet:"span_id"`
	Attributes []attribute `parquet:"attributes,list"`
}

// exact is a text that is not UTF-8, as it was. At is its place among those
// that texts lists.
type exact struct {
	At   int32  `parquet:"at"`
	Text []byte `parquet:"text"`
}

// texts calls visit for each text that comes from a span, always in the same
// order: files depend on it, so that more may only be added behind.
func (r *row) texts(visit func(*string)) {
	for _, text := range []*string{
		&r.Service, &r.Operation, &r.URL, &r.URLTemplate, &r.Method, &r.UserAgent, &r.Cluster, &r.Node, &r.Version,
		&r.StatusMessage, &r.Protocol, &r.Peer, &r.RequestID, &r.ResponseFlags, &r.Namespace, &r.Workload, &r.Scope,
	} {
		visit(text)
	}
	attributes := func(list []attribute) {
		for i := range list {
			visit(&list[i].Key)
			visit(&list[i].Value)
		}
	}
	attributes(r.Attributes)
	attributes(r.Resource)
	for i := range r.Events {
		visit(&r.Events[i].Name)
		attributes(r.Events[i].Attributes)
	}
	for i := range r.Links {
		attributes(r.Links[i].Attributes)
	}
}

// makeValid puts what is not UTF-8 aside.
func (r *row) makeValid() {
	at := int32(-1)
	r.texts(func(text *string) {
		at++
		if !utf8.ValidString(*text) {
			r.Exact = append(r.Exact, exact{at, []byte(*text)})
			*text = valid(*text)
		}
	})
	r.Source, r.Destination = valid(r.Source), valid(r.Destination)
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// restore undoes makeValid.
func (r *row) restore() {
	if len(r.Exact) == 0 {
		return
	}
	texts := make(map[int32]string, len(r.Exact))
	for _, e := range r.Exact {
		texts[e.At] = string(e.Text)
	}
	at := int32(-1)
	r.texts(func(text *string) {
		at++
		if was, ok := texts[at]; ok {
			*text = was
		}
	})
}
