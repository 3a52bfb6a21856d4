// Package spark asks an Apache Spark that runs as a server for SQL
// (HiveThriftServer2, "sbin/start-thriftserver.sh").
//
// [DB] is the DB of package visibility/sql, whose Engine asks visibility's
// questions through it:
//
//	db, err := spark.Open(spark.Options{Addr: "spark:10000"})
//	engine, err := sql.New(db, sql.Options{Dialect: sql.Spark, Table: sql.Spark.Parquet("s3a://spans/parquet")})
//	result, err := engine.Query(ctx, query)
//
// A statement ends in Spark, too, when its context ends, at the latest five
// seconds later.
//
// Package visibility/spark/job has the jobs that analyse continually.
package spark
