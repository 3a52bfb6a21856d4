package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/spanfolder"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/engine"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/spark"
	"github.com/opnfv/clover/visibility/sql"
)

// SparkOptions say where Spark's SQL server is and what it reads.
type SparkOptions struct {
	spark.Options
	// Data is the folder that package visibility/parquet has exported to,
	// under the same name here and for Spark, a URL that only Spark reads, or
	// "cassandra:CATALOG": the tables of the store in Cassandra.
	Data string
	// Program is what Spark's executors run for the tables of Cassandra; see
	// sql.CassandraTable.
	Program string
	// MaxRollups is that of engine.Options.
	MaxRollups int64
	caFile     string
}

func (o *SparkOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Addr, "spark-addr", "", "`address` of a Spark SQL server, HOST:PORT, that answers statistics the store cannot, or not as fast")
	f.StringVar(&o.Data, "spark-data", "", "`directory` of the Parquet files that it reads, under the same name there, or a URL; cassandra:CATALOG for the tables of --store cassandra, by that catalog of Spark's")
	f.StringVar(&o.Program, "spark-program", "clover-spark rows", "`command` that Spark's executors run for --spark-data cassandra:CATALOG")
	f.StringVar(&o.User, "spark-user", "", "`user` for --spark-addr; the password is in the environment: SPARK_PASSWORD")
	f.StringVar(&o.caFile, "spark-ca-file", "", "PEM `file` with the certificates to trust for --spark-addr; turns TLS on")
	o.Password = os.Getenv("SPARK_PASSWORD")
	f.Int64Var(&o.MaxRollups, "spark-above", engine.DefaultMaxRollups, "`number` of rollups above which Spark is asked instead of the store, by estimate")
}

// engines are who may answer statistics.
func (n *Node) engines(answering visibility.AnalyticsOptions) (*engine.Chooser, error) {
	o := engine.Options{Store: n.store, Analytics: answering, MaxRollups: n.opts.Spark.MaxRollups}
	if err := n.opts.Spark.check(); err != nil {
		return nil, err
	}
	if file := n.opts.Spark.caFile; file != "" {
		pool, err := authorities("--spark-ca-file", file)
		if err != nil {
			return nil, err
		}
		n.opts.Spark.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	if n.opts.Spark.Addr != "" {
		var err error
		if n.spark, err = spark.Open(n.opts.Spark.Options); err != nil {
			return nil, fmt.Errorf("--spark-addr: %w", err)
		}
		if o.Spark, err = n.opts.sparkSQL(n.spark); err != nil {
			return nil, err
		}
	}
	return engine.New(o)
}

func (o *SparkOptions) check() error {
	switch {
	case (o.Addr == "") != (o.Data == ""):
		return fmt.Errorf("--spark-addr and --spark-data are needed together: %w", visibility.ErrInvalid)
	case o.MaxRollups < 0:
		return fmt.Errorf("--spark-above %d is negative: %w", o.MaxRollups, visibility.ErrInvalid)
	}
	return nil
}

// sparkSQL is Spark with what it reads.
func (o *Options) sparkSQL(db *spark.DB) (*engine.SparkSQL, error) {
	catalog, ok := strings.CutPrefix(o.Spark.Data, "cassandra:")
	if !ok {
		return o.Spark.reading(db)
	}
	if o.flags.kind != "cassandra" {
		return nil, fmt.Errorf("--spark-data %s: the store is not in Cassandra: %w", o.Spark.Data, visibility.ErrInvalid)
	}
	table := sql.CassandraTable{Catalog: catalog, Keyspace: o.Cassandra.Keyspace, Program: o.Spark.Program}
	return &engine.SparkSQL{
		DB: db, Table: table.SQL(), SameSpans: true,
		TableIn: func(r visibility.Range) string {
			if r.To.Sub(r.From) > lookedUp {
				return table.SQL()
			}
			return table.InRange(r)
		},
	}, nil
}

// lookedUp is the longest range whose traces Spark looks up in Cassandra.
// Looking up a trace takes about as long as reading ten in a row.
const lookedUp = time.Hour

// reading is Spark with the files that it reads.
func (o *SparkOptions) reading(db *spark.DB) (*engine.SparkSQL, error) {
	switch {
	case spanfolder.Remote(o.Data): // Spark knows S3 by another name
		folder, err := spanfolder.Open(o.Data)
		if err != nil {
			return nil, fmt.Errorf("--spark-data: %w", err)
		}
		_, at, _ := strings.Cut(o.Data, "://")
		return &engine.SparkSQL{
			DB: db, Table: sql.Spark.Parquet("s3a://" + at),
			Files: func(ctx context.Context) (engine.Files, error) { return files(ctx, folder) },
		}, nil
	case strings.Contains(o.Data, "://"):
		return &engine.SparkSQL{DB: db, Table: sql.Spark.Parquet(o.Data)}, nil
	}
	dir, err := filepath.Abs(o.Data)
	if err != nil {
		return nil, fmt.Errorf("--spark-data: %w", err)
	}
	return &engine.SparkSQL{
		DB: db, Table: sql.Spark.Parquet(dir),
		Files: func(ctx context.Context) (engine.Files, error) {
			if _, err := os.Stat(dir); err != nil {
				return engine.Files{}, fmt.Errorf("--spark-data: %w: %w", visibility.ErrUnavailable, err)
			}
			return files(ctx, parquet.Dir(dir))
		},
	}, nil
}

// files are what has been exported into a folder.
func files(ctx context.Context, folder parquet.Folder) (engine.Files, error) {
	m, err := parquet.ReadManifestFrom(ctx, folder)
	f := engine.Files{From: m.From, Through: m.Through, Window: m.Window}
	for i := range m.Files {
		f.List = append(f.List, engine.File{From: m.Files[i].From, Spans: m.Files[i].Spans})
	}
	return f, err
}
