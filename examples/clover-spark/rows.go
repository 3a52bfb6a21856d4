package main

import (
	"io"
	"os"
	"time"

	"github.com/opnfv/clover/visibility/cassandra"
)

// stalled is how long nobody may read what the program writes. When a
// statement of Spark needs no more rows, Spark leaves the program alone.
const stalled = 5 * time.Minute

// rows turns rows of Cassandra into those of a table.
func rows(in io.Reader, out io.Writer) error {
	return cassandra.WriteTable(in, &watched{Writer: out, limit: stalled, end: func() { os.Exit(1) }})
}

// watched is a writer that calls end when a write takes longer than limit.
type watched struct {
	io.Writer
	limit time.Duration
	end   func()
}

func (w *watched) Write(p []byte) (int, error) {
	defer time.AfterFunc(w.limit, w.end).Stop()
	return w.Writer.Write(p)
}
