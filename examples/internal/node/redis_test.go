package node

import (
	"strings"
	"testing"
)

// TestRedisResultsFlags holds who counts for Redis, and what is refused.
func TestRedisResultsFlags(t *testing.T) {
	for _, c := range []struct {
		args, fail string
		other      bool // than the store
	}{
		{"", "", false},
		{"--redis r:6379", "", false},
		{"--redis r:6379 --redis-results spark --spark-results /results --parquet-dir /spans", "", true},
		{"--redis r:6379 --redis-results spark --spark-results /results", "", true},
		{"--redis r:6379 --redis-results spark", "needs --spark-results", false},
		{"--redis r:6379 --redis-results flink", "want store or spark", false},
		{"--redis r:6379 --spark-results /results", "", false},
		{"--redis-results spark --spark-results /results", "is for --redis", false},
	} {
		o, err := parse(strings.Fields(c.args)...)
		if err != nil {
			t.Fatal(err)
		}
		f, err := o.figures()
		if (err == nil) != (c.fail == "") || err != nil && !strings.Contains(err.Error(), c.fail) || (f != nil) != c.other {
			t.Errorf("%s: %v, %v; want %q", c.args, f, err, c.fail)
		}
	}
}
