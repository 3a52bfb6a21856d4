package cassandra

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
)

// TestPartitions writes CLOVER_SPANS spans of a mesh, over half an hour, and
// logs the server's own figures of its partitions, and how long a question
// over all of them takes. It is run by make sizes-cassandra.
func TestPartitions(t *testing.T) {
	spans, err := strconv.Atoi(testutil.Long(t, "CLOVER_SPANS", "sizes-cassandra"))
	if err != nil {
		t.Fatal(err)
	}
	server := testutil.Cassandra(t, testutil.CassandraOptions{Fast: true})
	c := &cluster{addr: server.Addr, opts: Options{Hosts: []string{server.Addr}, Timeout: time.Minute}}
	s := c.open(t, c.opts)
	rng := rand.New(rand.NewPCG(1, 2))
	from := time.Now().Add(-40 * time.Minute)
	begin := time.Now()
	const traces = 4000 // written at once
	for done := 0; done < spans; done += 5 * traces {
		var all []tracing.Span
		for i := range traces {
			at := from.Add(time.Duration(float64(30*time.Minute) * float64(done+5*i) / float64(spans)))
			all = append(all, meshTrace(rng, at)...)
		}
		s.writeBatchesOf(t, all, 2000, 4)
	}
	t.Logf("%d spans in %v", spans, time.Since(begin).Round(time.Second))
	for range 3 {
		begin := time.Now()
		got := c.tally(t, s)
		t.Logf("%d spans, %d requests counted in %v with the ledger", got.spans, got.requests, time.Since(begin).Round(time.Millisecond))
	}
	c.logPartitions(t, s, "spans", "trace_index", "rollups", "rollup_rows", "cells")
}

var partitionKeys = map[string]string{
	"spans": "traceid", "packs": "level, period, shard", "trace_index": "service, slot, shard", "rollups": "level, period, shard",
	"rollup_rows": "part", "cells": "writer, kind",
}

// logPartitions counts the rows of each partition.
func (c *cluster) logPartitions(t *testing.T, s *Store, tables ...string) {
	t.Helper()
	for _, table := range tables {
		key := partitionKeys[table]
		iter := s.session.Query("SELECT count(*), " + key + " FROM " + table + " GROUP BY " + key).IterContext(t.Context())
		var partitions, rows, largest int64
		for row := map[string]any{}; iter.MapScan(row); row = map[string]any{} {
			n, _ := row["count"].(int64)
			partitions, rows, largest = partitions+1, rows+n, max(largest, n)
		}
		if err := iter.Close(); err != nil {
			t.Errorf("%s: %v", table, err)
		}
		t.Logf("%-12s %d partitions, %d rows, at most %d rows in one", table, partitions, rows, largest)
	}
}
