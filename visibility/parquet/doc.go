// Package parquet writes the spans of any visibility.Store into Parquet
// files, one row a span, and reads them back.
//
// The files serve two ends. Engines that speak SQL ask them what Clover's API
// answers and anything else (see package visibility/sql, whose columns they
// have), and [Import] writes them into another store: nothing that a span has
// is lost.
//
// # Layout
//
//	DIR/_clover.json                        what has been exported
//	DIR/_metrics.parquet                    metrics, see ExportMetrics
//	DIR/day=2026-11-26/spans-140000.parquet the traces that began from 14:00:00 (UTC) on
//
// A file holds whole traces: those that began in its window, which is an hour
// unless Options.Window says otherwise. So each span's role and source can be
// told from the file alone, and they are columns: engines need no join.
// Windows without traces have no file. A file appears, and is replaced, by a
// rename.
//
// # Texts that are not UTF-8
//
// Parquet's texts are UTF-8. Where a span's are not, the column has U+FFFD in
// place of the wrong bytes, and the column exact has what was there.
package parquet
