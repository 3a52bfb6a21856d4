// Package job has the Spark jobs that analyse continually: "full" reads all
// spans again, "fast" only the hours that have changed. Both sum them up by
// hour and by all dimensions, in SQL; no code of Clover runs in Spark.
//
// A [Submitter] runs them, one at a time. A job writes into a folder of its
// own, which nobody reads; when it has ended well, one rename makes its hours
// the ones that count. So a job that is killed at any point, and is run again,
// counts nothing twice and loses nothing.
//
// [Results] are what the jobs have found, as a visibility.RollupReader without
// percentiles.
package job
