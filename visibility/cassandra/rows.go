package cassandra

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/opnfv/clover/tracing"
)

// indexEntry says that a trace has a span of a service ("": of any) that
// started in that second.
type indexEntry struct {
	service string
	second  int
	trace   tracing.TraceID
}

const (
	insertSpan = `INSERT INTO spans (traceid, spanid, kind, service_hash, duration, start_time, processid, operation_name, node_id,
	http_url, user_agent, request_size, response_size, status_code, upstream_cluster, insert_time, parentid, record, writer, version)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?`
	insertTrace = "INSERT INTO traces (traceid, processes) VALUES (?, ?) USING TTL ?"
	insertIndex = "INSERT INTO trace_index (service, slot, shard, second, traceid) VALUES (?, ?, ?, ?, ?) USING TTL ?"
)

// retentionSlack is how long rows live beyond the retention, which readers
// apply by themselves.
const retentionSlack = 25 * time.Hour

// ttl is the time to live of a row in seconds; 0: for ever.
func (s *Store) ttl() int {
	if s.opts.Retention < 0 {
		return 0
	}
	return int((s.opts.Retention + retentionSlack).Seconds())
}

// addSpanRow adds a span in the columns of 2019 and whole.
func (g *gathering) addSpanRow(s *tracing.Span, record []byte, writer string, ttl int) {
	g.claim(s)
	g.spans[s.TraceID] = append(g.spans[s.TraceID], statement{
		cql: insertSpan, size: 2*len(record) + 100,
		args: []any{
			s.TraceID.String(), s.SpanID.String(), int8(s.Kind), hash64(s.Service),
			s.Duration.Microseconds(), s.Start, text(s.Service), text(s.Operation), text(s.Node),
			text(s.URL), text(s.UserAgent), number(s.RequestSize, -1), number(s.ResponseSize, -1), number(int64(s.StatusCode), 0),
			text(s.UpstreamCluster), g.now, s.ParentID.String(), record, writer, int64(g.version), ttl,
		},
	})
}

// number is a number as the tables of 2019 have it, "" if it is not known.
func number(n, unknown int64) string {
	if n == unknown {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// addTraceRow adds the trace with its services. It lies in the same partition
// as the spans, so that both are written at once.
func (g *gathering) addTraceRow(trace tracing.TraceID, spans []traceSpan, ttl int) {
	var services []string
	for i := range spans {
		services = append(services, text(spans[i].key[0]))
	}
	slices.Sort(services)
	services = slices.Compact(services)
	g.spans[trace] = append(g.spans[trace], statement{cql: insertTrace, args: []any{trace.String(), services, ttl}, size: 100})
}

// shardOfTrace spreads traces over the partitions of the index.
func (s *Store) shardOfTrace(trace tracing.TraceID) int16 {
	return int16(uint64(hash64(string(trace[:]))) % uint64(s.shards))
}

// writeRows writes what is not a sum. All of it is void until the commit, or
// means nothing by itself.
func (c *committer) writeRows(ctx context.Context) error {
	g := &c.g
	ttl := c.ttl()
	lists := c.dict.statements(ttl)
	for _, list := range g.spans {
		lists = append(lists, list)
	}
	type partition struct {
		service string
		slot    int
		shard   int16
	}
	index := map[partition][]statement{}
	for e := range g.index {
		p := partition{e.service, e.second / slotSeconds, c.shardOfTrace(e.trace)}
		index[p] = append(index[p], statement{
			cql: insertIndex, size: 64, args: []any{p.service, p.slot, p.shard, e.second, e.trace[:], ttl},
		})
	}
	for _, list := range index {
		lists = append(lists, list)
	}
	return c.writeBatches(ctx, append(lists, c.metricRows()...))
}
