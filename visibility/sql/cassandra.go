package sql

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/opnfv/clover/visibility"
)

// CassandraTable is the table of the spans that package visibility/cassandra
// has in a keyspace, as Spark reads it through the Spark Cassandra Connector.
// The zero value works for a keyspace with the usual name.
//
// The roles of a trace's spans depend on one another, and records are of
// Clover's own format: Spark hands the rows to a program of Clover's on each
// executor, whose lines [AppendLine] makes. An executor needs /bin/bash and
// that program.
type CassandraTable struct {
	// Catalog is the connector's in Spark, see [CassandraTable.Settings].
	// "": cass.
	Catalog string
	// Keyspace is that of the store. "": visibility.
	Keyspace string
	// Program is a command for bash that does what cassandra.WriteTable does,
	// from its standard input to its output. "": clover-spark rows. It must
	// not come from whoever asks.
	Program string
}

// SQL is the table, for [Options] or [Compile]. It has the rows of all spans
// that were committed when the statement began and are not older than the
// store's retention, with the columns trace_id, span_id and parent_id besides
// the usual ones. A statement reads the whole table spans of Cassandra, once.
func (t CassandraTable) SQL() string { return t.over(t.keyspace() + ".spans") }

// InRange is the table with the traces that have a span in a range, for
// [Options]. The connector looks up those traces, each by its key, if Spark has
// the connector's extensions ([CassandraTable.Settings]); without them it reads
// the whole table all the same.
func (t CassandraTable) InRange(r visibility.Range) string {
	r = snap(r)
	// The service of an entry that stands for all is "". A constant would
	// keep the connector from looking up partitions of the index by their key.
	return t.over(fmt.Sprintf(`(
      SELECT s.traceid, s.writer, s.version, s.record
      FROM (
        SELECT DISTINCT lower(hex(i.traceid)) AS traceid
        FROM (
          SELECT service, CAST(slot AS INT) AS slot, CAST(shard AS SMALLINT) AS shard
          FROM (SELECT substr(name, 100) AS service, CAST(value AS INT) AS shards FROM %[1]s.meta WHERE name = 'shards')
          LATERAL VIEW explode(sequence(0, shards - 1)) AS shard
          LATERAL VIEW explode(sequence(%[2]d, %[3]d)) AS slot
        ) p JOIN %[1]s.trace_index i ON i.service = p.service AND i.slot = p.slot AND i.shard = p.shard
        WHERE i.second >= %[4]d AND i.second < %[5]d
      ) t JOIN %[1]s.spans s ON s.traceid = t.traceid
    )`, t.keyspace(), r.From.Unix()/indexSlot, (r.To.Unix()-1)/indexSlot, r.From.Unix(), r.To.Unix()))
}

// indexSlot is the time in seconds that a partition of trace_index has.
const indexSlot = 600

// over is the table of rows of spans.
func (t CassandraTable) over(spans string) string {
	names, columns := make([]string, len(lineColumns)), make([]string, len(lineColumns))
	for i, c := range lineColumns {
		names[i], columns[i] = c.name, c.name+" "+c.kind
		if c.kind == "STRING" && c.name != "role" && !strings.HasSuffix(c.name, "_id") {
			names[i] = unescaped(c.name) + " AS " + c.name
		}
	}
	const tabs = `ROW FORMAT DELIMITED FIELDS TERMINATED BY '\u0009'`
	// The rows of a trace follow one another in Cassandra, and have to when
	// they come to the program: what is visible is a lookup, and no join that
	// might move them. By rand() Spark takes the rows for others at each
	// reading, and so reads them once for all of a statement, which names them
	// twice.
	return fmt.Sprintf(`(
SELECT %s
FROM (
  SELECT TRANSFORM(traceid, record) %s
  USING %s
  AS (%s) %[2]s
  FROM (
    SELECT traceid, hex(record) AS record FROM %[6]s
    WHERE version <> 0 AND (version & 4294967295) <= element_at(element_at(
      (SELECT map_from_entries(collect_list(struct(name, epochs))) FROM %[5]s.writers WHERE epochs IS NOT NULL), writer),
      CAST(shiftright(version, 32) AS INT))
  )
)
WHERE rand() >= 0 AND start_ns >= coalesce((SELECT max(value) FROM %[5]s.meta WHERE name = 'floor'), 0) * 1000000000
)`, strings.Join(names, ",\n  "), tabs, Spark.Text(cmp.Or(t.Program, "clover-spark rows")), strings.Join(columns, ", "), t.keyspace(), spans)
}

func (t CassandraTable) catalog() string { return cmp.Or(t.Catalog, "cass") }

// keyspace is its name in Spark. The store names it without quotes, so that it
// is in small letters.
func (t CassandraTable) keyspace() string {
	return backquoted(t.catalog()) + "." + backquoted(strings.ToLower(cmp.Or(t.Keyspace, "visibility")))
}

func backquoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Settings are those, each KEY=VALUE, that Spark needs besides the connector's
// jars to read the table: the catalog, and what to read it from, which is
// HOST or several of them with commas, and the port of all; and the extensions
// for InRange. Reads are of the quorum, as the store's are. A user and
// password, TLS and the data centre are further settings of the connector
// (spark.cassandra.auth.username …).
func (t CassandraTable) Settings(hosts string, port int) []string {
	name := "spark.sql.catalog." + t.catalog()
	return []string{
		name + "=com.datastax.spark.connector.datasource.CassandraCatalog",
		name + ".spark.cassandra.connection.host=" + hosts,
		fmt.Sprintf("%s.spark.cassandra.connection.port=%d", name, port),
		name + ".spark.cassandra.input.consistency.level=LOCAL_QUORUM",
		name + ".directJoinSetting=on",
		"spark.sql.extensions=com.datastax.spark.connector.CassandraSparkExtensions",
	}
}
