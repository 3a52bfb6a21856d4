package jmeter

import "time"

// Sample is the result of one request, or of a transaction.
type Sample struct {
	// Start is when the request was sent or, at a constant rate, when it was
	// to be sent, so that what a slow server keeps waiting is counted.
	Start time.Time
	// Elapsed is from Start to the last byte, Latency to the first one.
	Elapsed, Latency time.Duration
	// Connect is how long the connection took, 0 if there was one.
	Connect, Idle time.Duration

	Label    string
	Code     string // HTTP status, or what was wrong, e.g. "connect: refused"
	Message  string
	Thread   string // e.g. "ThreadGroup 1-4"
	DataType string // "text", "bin" or ""
	Success  bool
	// Failure is why the first assertion failed.
	Failure string
	URL     string

	Bytes, SentBytes int64
	// GroupThreads and AllThreads are the users that were active.
	GroupThreads, AllThreads int
	// Transaction marks the result of a transaction, which is not counted
	// among the requests of all.
	Transaction bool
}
