package sql

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/opnfv/clover/visibility"
)

// cells reads the values of a row one after the other. The first error
// stays; what is read after it is zero.
type cells struct {
	row []any
	at  int
	err error
}

func newCells(row []any) *cells { return &cells{row: row} }

func (c *cells) next() any {
	if c.err != nil {
		return nil
	}
	if c.at >= len(c.row) {
		c.err = fmt.Errorf("a row has only %d columns", len(c.row))
		return nil
	}
	c.at++
	return c.row[c.at-1]
}

// text reads a text; NULL is "".
func (c *cells) text() string {
	switch v := c.next().(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

// integer reads an integer, in whatever way the driver gives it.
func (c *cells) integer() int64 {
	switch v := c.next().(type) {
	case int64:
		return v
	case int32:
		return int64(v)
	case int16:
		return int64(v)
	case int8:
		return int64(v)
	case int:
		return int64(v)
	case float64:
		return int64(v)
	case json.Number:
		return c.parse(string(v))
	case string:
		return c.parse(v)
	case []byte:
		return c.parse(string(v))
	default:
		if c.err == nil {
			c.err = fmt.Errorf("column %d is %T, want an integer", c.at, v)
		}
		return 0
	}
}

func (c *cells) parse(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		c.err = fmt.Errorf("column %d: %w", c.at, err)
	}
	return n
}

// aggregate reads a bar of a histogram. Its smallest duration stands for all
// of them in the sketch, as they fall into the same bucket.
func (c *cells) aggregate() visibility.Aggregate {
	a := visibility.Aggregate{Count: c.integer(), Errors: c.integer(), Sum: time.Duration(c.integer())}
	a.Min, a.Max = time.Duration(c.integer()), time.Duration(c.integer())
	a.RequestBytes, a.ResponseBytes = c.integer(), c.integer()
	a.Latency.Add(a.Min, a.Count)
	return a
}
