// Package engine chooses who answers a question about statistics: the store,
// which keeps rollups, or Spark, which reads each span from the files that
// package visibility/parquet wrote. Both answer the same.
//
//	c, err := engine.New(engine.Options{Store: store, Spark: &engine.Spark{DB: db, Table: table, Files: files}})
//	result, why, err := c.Ask(ctx, query, engine.Auto)
//
// The store is the default: its rollups are few, and it knows the spans of this
// minute. Spark is for what only the files still hold, and for questions that
// would have the store read very much. The [Explanation] says so in words, with
// what was estimated and what was really read.
package engine
