package jtl

import (
	"fmt"
	"strconv"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// column sets what one column says; nil: the column is not known.
type column func(r *Reader, x *jmeter.Sample, b []byte) error

// columnsOf returns the readers of the columns of these names.
func columnsOf(names []string) []column {
	text := func(set func(*jmeter.Sample, string)) column {
		return func(r *Reader, x *jmeter.Sample, b []byte) error { set(x, r.intern(b)); return nil }
	}
	number := func(set func(*jmeter.Sample, int64)) column {
		return func(_ *Reader, x *jmeter.Sample, b []byte) error {
			n, err := parseInt(b)
			if err == nil {
				set(x, n)
			}
			return err
		}
	}
	known := map[string]column{
		"timeStamp":       timeStamp,
		"elapsed":         number(func(x *jmeter.Sample, n int64) { x.Elapsed = millis(n) }),
		"label":           text(func(x *jmeter.Sample, s string) { x.Label = s }),
		"responseCode":    text(func(x *jmeter.Sample, s string) { x.Code = s }),
		"responseMessage": text(func(x *jmeter.Sample, s string) { x.Message = s; x.Transaction = isTransaction(s) }),
		"threadName":      text(func(x *jmeter.Sample, s string) { x.Thread = s }),
		"dataType":        text(func(x *jmeter.Sample, s string) { x.DataType = s }),
		"success":         text(func(x *jmeter.Sample, s string) { x.Success = s == "true" }),
		"failureMessage":  text(func(x *jmeter.Sample, s string) { x.Failure = s }),
		"URL":             text(func(x *jmeter.Sample, s string) { x.URL = s }),
		"bytes":           number(func(x *jmeter.Sample, n int64) { x.Bytes = n }),
		"sentBytes":       number(func(x *jmeter.Sample, n int64) { x.SentBytes = n }),
		"grpThreads":      number(func(x *jmeter.Sample, n int64) { x.GroupThreads = int(n) }),
		"allThreads":      number(func(x *jmeter.Sample, n int64) { x.AllThreads = int(n) }),
		"Latency":         number(func(x *jmeter.Sample, n int64) { x.Latency = millis(n) }),
		"IdleTime":        number(func(x *jmeter.Sample, n int64) { x.Idle = millis(n) }),
		"Connect":         number(func(x *jmeter.Sample, n int64) { x.Connect = millis(n) }),
	}
	columns := make([]column, len(names))
	for i, name := range names {
		columns[i] = known[name]
	}
	return columns
}

// timeStamp reads milliseconds since 1970, or JMeter's date.
func timeStamp(_ *Reader, x *jmeter.Sample, b []byte) error {
	n, err := parseInt(b)
	if err == nil {
		x.Start = time.UnixMilli(n)
		return nil
	}
	for _, layout := range []string{"2006/01/02 15:04:05.000", "2006/01/02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, string(b), time.Local); err == nil {
			x.Start = t
			return nil
		}
	}
	return err
}

// isTransaction recognises the results of transactions by JMeter's words.
func isTransaction(message string) bool {
	const words = "Number of samples in transaction"
	return len(message) >= len(words) && message[:len(words)] == words
}

// parseInt reads a number of at most 18 digits.
func parseInt(b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(b) > 18 || b[0] == '-' {
		n, err := strconv.ParseInt(string(b), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%.40q is no number", b)
		}
		return n, nil
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%.40q is no number", b)
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}
