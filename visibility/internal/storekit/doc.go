// Package storekit is what the stores have in common: the queue before their
// one committer, named counters and the ledger made of them, the buckets of
// rollups, and reading of their records. What differs, which is how things lie
// on disk, is theirs.
package storekit
