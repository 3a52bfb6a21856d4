package sql

import (
	"cmp"
	"fmt"
	"strings"
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
// the usual ones. Each statement reads the whole table spans of Cassandra.
func (t CassandraTable) SQL() string {
	names, columns := make([]string, len(lineColumns)), make([]string, len(lineColumns))
	for i, c := range lineColumns {
		names[i], columns[i] = c.name, c.name+" "+c.kind
		if c.kind == "STRING" && c.name != "role" && !strings.HasSuffix(c.name, "_id") {
			names[i] = unescaped(c.name) + " AS " + c.name
		}
	}
	const tabs = `ROW FORMAT DELIMITED FIELDS TERMINATED BY '\u0009'`
	// The rows of a trace follow one another in Cassandra, and have to when
	// they come to the program: there is no join that might move them.
	return fmt.Sprintf(`(
SELECT %s
FROM (
  SELECT TRANSFORM(traceid, record) %s
  USING %s
  AS (%s) %[2]s
  FROM (
    SELECT traceid, hex(record) AS record FROM %[5]s.spans
    WHERE version <> 0 AND (version & 4294967295) <= element_at(element_at(
      (SELECT map_from_entries(collect_list(struct(name, epochs))) FROM %[5]s.writers WHERE epochs IS NOT NULL), writer),
      CAST(shiftright(version, 32) AS INT))
  )
)
WHERE start_ns >= coalesce((SELECT max(value) FROM %[5]s.meta WHERE name = 'floor'), 0) * 1000000000
)`, strings.Join(names, ",\n  "), tabs, Spark.Text(cmp.Or(t.Program, "clover-spark rows")), strings.Join(columns, ", "), t.keyspace())
}

func (t CassandraTable) catalog() string { return cmp.Or(t.Catalog, "cass") }

// keyspace is its name in Spark.
func (t CassandraTable) keyspace() string {
	return backquoted(t.catalog()) + "." + backquoted(cmp.Or(t.Keyspace, "visibility"))
}

func backquoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Settings are those, each KEY=VALUE, that Spark needs besides the connector's
// jars to read the table: the catalog, and what to read it from, which is
// HOST or several of them with commas, and the port of all. Reads are of the
// quorum, as the store's are. A user and password, TLS and the data centre are
// further settings of the connector (spark.cassandra.auth.username …).
func (t CassandraTable) Settings(hosts string, port int) []string {
	name := "spark.sql.catalog." + t.catalog()
	return []string{
		name + "=com.datastax.spark.connector.datasource.CassandraCatalog",
		name + ".spark.cassandra.connection.host=" + hosts,
		fmt.Sprintf("%s.spark.cassandra.connection.port=%d", name, port),
		name + ".spark.cassandra.input.consistency.level=LOCAL_QUORUM",
	}
}
