package cassandra

import (
	"fmt"
	"strings"
)

// Schema is the version of the tables below. Those of an older one are brought
// to it by steps; see migrate.go.
const Schema = 3

// The tables. Those that grow with the traffic have time-window compaction and
// compression, and every row a time to live.
//
//	spans        by trace; the columns of 2019, and the whole span as record.
//	             Each writer has rows of its own: see claims.go.
//	             Partition: a trace, at most Limits.TraceSpans rows that count.
//	traces       by trace; the services in it.
//	trace_index  which traces have a span of a service ("": of any) in a second.
//	             Partition: service × 10 min × shard of the trace.
//	rollups      sums of a row in a bucket. Partition: level × (5 min, 1 h or
//	             1 day of buckets) × shard of the row.
//	packs        all sums of a writer in a bucket together; see pack.go.
//	             Partition: as rollups.
//	rollup_rows  what a row of rollups stands for. Partition: a 16th of them.
//	cells        counts by 10 min, ledger and waiting requests of a writer.
//	             Partition: writer × kind.
//	writers      the last commit of each writer.
//	metrics      points of a metric. Partition: name × day.
//	series       names of metrics by day.
//	watermarks, state, meta: small.
var tables = map[string]string{
	"spans": `traceid text, spanid text, kind tinyint, service_hash bigint,
		duration bigint, start_time timestamp, processid text, operation_name text, node_id text, http_url text,
		user_agent text, request_size text, response_size text, status_code text, upstream_cluster text,
		insert_time timestamp, parentid text, record blob, writer text, version bigint,
		PRIMARY KEY ((traceid), spanid, kind, service_hash, writer)`,
	"traces": `traceid text PRIMARY KEY, processes frozen<list<text>>`,
	"trace_index": `service text, slot int, shard smallint, second int, traceid blob,
		PRIMARY KEY ((service, slot, shard), second, traceid)`,
	"rollups": `level tinyint, period int, shard smallint, bucket int, row bigint, writer text,
		version bigint, value blob, prev_version bigint, prev blob,
		PRIMARY KEY ((level, period, shard), bucket, row, writer)`,
	"packs": `level tinyint, period int, shard smallint, bucket int, writer text, signature bigint, value blob,
		PRIMARY KEY ((level, period, shard), bucket, writer)`,
	"rollup_rows": `part smallint, id bigint, role tinyint, day int, overflow boolean, service text, operation text,
		url text, url_template text, status text, method text, user_agent text, upstream_cluster text, node text,
		kind text, source text, destination text, service_version text, error text, key blob,
		PRIMARY KEY ((part), id)`,
	"cells": `writer text, kind text, name text, version bigint, value blob, prev_version bigint, prev blob,
		PRIMARY KEY ((writer, kind), name)`,
	"writers": `name text PRIMARY KEY, owner uuid, epoch int, epochs map<int, int>, open_from text`,
	"metrics": `m_name text, day int, service text, monitor_time timestamp, m_value double, m_time timestamp,
		writer text, version bigint,
		PRIMARY KEY ((m_name, day), service, monitor_time)`,
	"series":     `day int, m_name text, service text, name blob, service_name blob, PRIMARY KEY ((day), m_name, service)`,
	"watermarks": `part tinyint, source text, service text, names blob, at bigint, PRIMARY KEY ((part), source, service)`,
	"state":      `name text PRIMARY KEY, value blob`,
	"meta":       `name text PRIMARY KEY, value bigint`,
}

// growing are the tables with time-window compaction.
var growing = []string{"spans", "traces", "trace_index", "rollups", "packs", "metrics", "series"}

// descending are those that are read newest first.
var descending = map[string]string{"trace_index": "second DESC, traceid DESC", "metrics": "service ASC, monitor_time DESC"}

// tableOrder makes the tables always in the same order.
var tableOrder = []string{
	"meta", "state", "writers", "cells", "watermarks", "rollup_rows", "rollups", "packs", "spans", "traces", "trace_index", "series", "metrics",
}

func (o *Options) createTable(name string) string {
	var with []string
	if order, ok := descending[name]; ok {
		with = append(with, "CLUSTERING ORDER BY ("+order+")")
	}
	for _, g := range growing {
		if g == name {
			with = append(with,
				fmt.Sprintf("compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS', 'compaction_window_size': %d}", int(o.Window.Hours())),
				"compression = {'class': 'ZstdCompressor', 'chunk_length_in_kb': 32}",
				"gc_grace_seconds = 10800")
		}
	}
	cql := "CREATE TABLE IF NOT EXISTS " + o.Keyspace + "." + name + " (" + tables[name] + ")"
	if len(with) > 0 {
		cql += " WITH " + strings.Join(with, " AND ")
	}
	return cql
}
