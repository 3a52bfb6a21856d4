package sql

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// lineColumns are the columns of a line, in their order, with Spark's types.
// The last one is never empty: Spark drops empty values at the end of a line.
var lineColumns = []struct{ name, kind string }{
	{"trace_id", "STRING"}, {"span_id", "STRING"}, {"parent_id", "STRING"},
	{"bucket", "BIGINT"}, {"start_ns", "BIGINT"}, {"duration_ns", "BIGINT"}, {"error", "BOOLEAN"},
	{"request_size", "BIGINT"}, {"response_size", "BIGINT"}, {"status_code", "INT"}, {"mirrored", "BOOLEAN"},
	{"service", "STRING"}, {"operation", "STRING"}, {"url", "STRING"}, {"url_template", "STRING"}, {"method", "STRING"},
	{"user_agent", "STRING"}, {"upstream_cluster", "STRING"}, {"node", "STRING"}, {"kind", "STRING"},
	{"source", "STRING"}, {"destination", "STRING"}, {"version", "STRING"},
	{"role", "STRING"},
}

// roles are the texts of the column role.
var roles = map[visibility.Role]string{
	visibility.RoleSpan: "span", visibility.RoleServer: "server", visibility.RoleClient: "client",
}

// AppendLine appends a span as a row of the table, for programs that give
// Spark rows as lines: hop is what [visibility.ResolveHops] says of it. Values
// stand between tabs; in texts, tab, line feed and carriage return are written
// as \t, \n and \r, and a backslash as \b. Bytes that are not UTF-8 become
// U+FFFD.
func AppendLine(b []byte, s *tracing.Span, hop visibility.Hop) []byte {
	key := visibility.KeyOf(s)
	if hop.Role == visibility.RoleServer {
		key[visibility.Source] = hop.Source
	}
	b = append(hex.AppendEncode(b, s.TraceID[:]), '\t')
	b = append(hex.AppendEncode(b, s.SpanID[:]), '\t')
	if !s.ParentID.IsZero() {
		b = hex.AppendEncode(b, s.ParentID[:])
	}
	b = append(b, '\t')
	for _, n := range [...]int64{s.Start.Truncate(visibility.MinStep).Unix(), s.Start.UnixNano(), int64(s.Duration)} {
		b = append(strconv.AppendInt(b, n, 10), '\t')
	}
	b = append(strconv.AppendBool(b, s.Error), '\t')
	for _, n := range [...]int64{s.RequestSize, s.ResponseSize, int64(s.StatusCode)} {
		b = append(strconv.AppendInt(b, n, 10), '\t')
	}
	b = append(strconv.AppendBool(b, key.Mirrored()), '\t')
	for _, text := range [...]string{
		s.Service, s.Operation, s.URL, s.URLTemplate, s.Method, s.UserAgent, s.UpstreamCluster, s.Node,
		key[visibility.Kind], key[visibility.Source], key[visibility.Destination], s.Version,
	} {
		b = append(appendEscaped(b, text), '\t')
	}
	return append(append(b, roles[hop.Role]...), '\n')
}

// escapes are the letters that stand, after a backslash, for what would end a
// value or is a backslash itself.
var escapes = [256]byte{'\\': 'b', '\n': 'n', '\r': 'r', '\t': 't'}

func appendEscaped(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	done := 0
	for i := range len(s) {
		if letter := escapes[s[i]]; letter != 0 {
			b = append(append(b, s[done:i]...), '\\', letter)
			done = i + 1
		}
	}
	return append(b, s[done:]...)
}

// unescaped is Spark's expression for a text as it was before appendEscaped. A
// backslash always begins a pair, so that the order does not matter but for
// the last.
func unescaped(column string) string {
	expr := column
	for _, c := range "\n\r\t\\" {
		expr = "replace(" + expr + ", " + Spark.Text(`\`+string(rune(escapes[c]))) + ", " + Spark.Text(string(c)) + ")"
	}
	return "CASE WHEN instr(" + column + ", " + Spark.Text(`\`) + ") = 0 THEN " + column + " ELSE " + expr + " END"
}
