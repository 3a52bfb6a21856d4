package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/visibility"
)

// Schema is the version of the tables that this package makes. It refuses all
// others: 1 was of no release, and has spans without their writer in the key.
const Schema = 2

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
var growing = []string{"spans", "traces", "trace_index", "rollups", "metrics", "series"}

// descending are those that are read newest first.
var descending = map[string]string{"trace_index": "second DESC, traceid DESC", "metrics": "service ASC, monitor_time DESC"}

// tableOrder makes the tables always in the same order.
var tableOrder = []string{
	"meta", "state", "writers", "cells", "watermarks", "rollup_rows", "rollups", "spans", "traces", "trace_index", "series", "metrics",
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

// schemaTable is made with a fixed id, so that two that make it at once make
// the same one.
const schemaTable = `CREATE TABLE IF NOT EXISTS %s.schema_version (name text PRIMARY KEY, version int, holder uuid)
	WITH id = 5c1f7a60-0d5e-11f0-8d3b-c10ec10ec10e`

// schemaWait is how long another process may take to make the schema, after
// which its lock is void.
const schemaWait = 60 * time.Second

// schemaTimeout is how long a statement that makes a table may take at least.
const schemaTimeout = 30 * time.Second

// prepareSchema makes the keyspace and the tables, or waits for another
// process that does.
func prepareSchema(ctx context.Context, o Options) error {
	o.Timeout = max(o.Timeout, schemaTimeout) // making a table takes its time
	session, err := connect(o, "")
	if err != nil {
		return err
	}
	return errors.Join(migrate(ctx, o, session), closeSession(session))
}

func migrate(ctx context.Context, o Options, session *gocql.Session) error {
	m := migration{session: session, o: o, holder: gocql.TimeUUID()}
	version, err := m.version(ctx)
	if err != nil {
		return err
	}
	if version > Schema {
		return fmt.Errorf("%w: keyspace %s has schema %d, this version knows up to %d: use a later Clover or another keyspace",
			visibility.ErrUnsupported, o.Keyspace, version, Schema)
	}
	switch version {
	case Schema:
		return nil
	case 0:
		return m.run(ctx)
	}
	return fmt.Errorf("%w: keyspace %s has schema %d, which was of no release and cannot be taken over: use another keyspace",
		visibility.ErrUnsupported, o.Keyspace, version)
}

type migration struct {
	session *gocql.Session
	o       Options
	holder  gocql.UUID
}

// version returns that of the tables, 0 if there are none.
func (m *migration) version(ctx context.Context) (version int, err error) {
	var name string
	err = m.session.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'schema_version'",
		strings.ToLower(m.o.Keyspace)).ScanContext(ctx, &name)
	if errors.Is(err, gocql.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, failure(ctx, err)
	}
	err = m.session.Query("SELECT version FROM "+m.o.Keyspace+".schema_version WHERE name = 'tables'").ScanContext(ctx, &version)
	if errors.Is(err, gocql.ErrNotFound) {
		return 0, nil
	}
	return version, failure(ctx, err)
}

// run brings the schema to this version under a lock.
func (m *migration) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*schemaWait)
	defer cancel()
	if err := m.ddl(ctx, "CREATE KEYSPACE IF NOT EXISTS "+m.o.Keyspace+" WITH replication = "+m.o.Replication); err != nil {
		return err
	}
	if err := m.ddl(ctx, fmt.Sprintf(schemaTable, m.o.Keyspace)); err != nil {
		return err
	}
	for {
		locked, err := m.lock(ctx)
		if err != nil {
			return err
		}
		if locked {
			return errors.Join(m.migrate(ctx), m.unlock(ctx))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process has been making the schema for long: %w", visibility.ErrUnavailable)
		case <-time.After(100 * time.Millisecond):
		}
		if version, err := m.version(ctx); err != nil || version >= Schema {
			return err
		}
	}
}

func (m *migration) ddl(ctx context.Context, cql string) error {
	if err := m.session.Query(cql).ExecContext(ctx); err != nil {
		return failure(ctx, err)
	}
	return failure(ctx, m.session.AwaitSchemaAgreement(ctx))
}

// lock takes the lock, which ends by itself should this process die.
func (m *migration) lock(ctx context.Context) (bool, error) {
	var holder gocql.UUID
	was := map[string]any{}
	applied, err := m.session.Query("INSERT INTO "+m.o.Keyspace+".schema_version (name, holder) VALUES ('lock', ?) IF NOT EXISTS USING TTL ?",
		m.holder, int(schemaWait.Seconds())).MapScanCASContext(ctx, was)
	if err != nil {
		return false, failure(ctx, err)
	}
	holder, _ = was["holder"].(gocql.UUID)
	return applied || holder == m.holder, nil
}

func (m *migration) unlock(ctx context.Context) error {
	_, err := m.session.Query("DELETE FROM "+m.o.Keyspace+".schema_version WHERE name = 'lock' IF holder = ?", m.holder).
		MapScanCASContext(ctx, map[string]any{})
	return failure(ctx, err)
}

// migrate makes what is missing and then says so. Each step may be repeated.
func (m *migration) migrate(ctx context.Context) error {
	for _, name := range tableOrder {
		if err := m.ddl(ctx, m.o.createTable(name)); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	if err := m.session.Query("INSERT INTO "+m.o.Keyspace+".meta (name, value) VALUES ('shards', ?)", m.o.Shards).ExecContext(ctx); err != nil {
		return failure(ctx, err)
	}
	return failure(ctx, m.session.Query("INSERT INTO "+m.o.Keyspace+".schema_version (name, version) VALUES ('tables', ?)", Schema).ExecContext(ctx))
}
