package jtl

import (
	"fmt"
	"strconv"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// column is one of JMeter's.
type column uint8

const (
	otherColumn column = iota
	timeStamp
	elapsed
	label
	responseCode
	responseMessage
	threadName
	dataType
	success
	failureMessage
	columnURL
	bytesReceived
	bytesSent
	grpThreads
	allThreads
	latency
	idleTime
	connect
	columnCount
)

// columnNames are JMeter's names in CSV.
var columnNames = map[string]column{
	"timeStamp": timeStamp, "elapsed": elapsed, "label": label, "responseCode": responseCode, "responseMessage": responseMessage,
	"threadName": threadName, "dataType": dataType, "success": success, "failureMessage": failureMessage, "URL": columnURL,
	"bytes": bytesReceived, "sentBytes": bytesSent, "grpThreads": grpThreads, "allThreads": allThreads,
	"Latency": latency, "IdleTime": idleTime, "Connect": connect,
}

// columnsOf returns the columns of these names.
func columnsOf(names []string) []column {
	columns := make([]column, len(names))
	for i, name := range names {
		columns[i] = columnNames[name]
	}
	return columns
}

// texts gives one string for equal texts, of which a file has few. The last
// one of each column is mostly the next one too.
type texts struct {
	last [columnCount]string
	all  map[string]string
}

const maxTexts = 4096

func (t *texts) of(c column, b []byte) string {
	if string(b) == t.last[c] {
		return t.last[c]
	}
	s, ok := t.all[string(b)]
	if !ok {
		if len(t.all) >= maxTexts || t.all == nil {
			t.all = map[string]string{}
		}
		s = string(b)
		t.all[s] = s
	}
	t.last[c] = s
	return s
}

// set sets what a column says of a sample.
func (t *texts) set(x *jmeter.Sample, c column, b []byte) error {
	switch c {
	case otherColumn:
		return nil
	case label:
		x.Label = t.of(c, b)
	case responseCode:
		x.Code = t.of(c, b)
	case responseMessage:
		x.Message = t.of(c, b)
		x.Transaction = isTransaction(x.Message)
	case threadName:
		x.Thread = t.of(c, b)
	case dataType:
		x.DataType = t.of(c, b)
	case success:
		x.Success = string(b) == "true"
	case failureMessage:
		x.Failure = t.of(c, b)
	case columnURL:
		x.URL = t.of(c, b)
	default:
		return setNumber(x, c, b)
	}
	return nil
}

func setNumber(x *jmeter.Sample, c column, b []byte) error {
	n, err := parseInt(b)
	if err != nil {
		if c == timeStamp {
			return setDate(x, b, err)
		}
		return err
	}
	switch c {
	case timeStamp:
		x.Start = time.UnixMilli(n)
	case elapsed:
		x.Elapsed = millis(n)
	case bytesReceived:
		x.Bytes = n
	case bytesSent:
		x.SentBytes = n
	case grpThreads:
		x.GroupThreads = int(n)
	case allThreads:
		x.AllThreads = int(n)
	case latency:
		x.Latency = millis(n)
	case idleTime:
		x.Idle = millis(n)
	case connect:
		x.Connect = millis(n)
	}
	return nil
}

// setDate reads JMeter's dates, which are local.
func setDate(x *jmeter.Sample, b []byte, otherwise error) error {
	for _, layout := range []string{"2006/01/02 15:04:05.000", "2006/01/02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, string(b), time.Local); err == nil {
			x.Start = t
			return nil
		}
	}
	return otherwise
}

// isTransaction recognises the results of transactions by JMeter's words.
func isTransaction(message string) bool {
	const words = "Number of samples in transaction"
	return len(message) >= len(words) && message[:len(words)] == words
}

// parseInt reads a number of at most 18 digits.
func parseInt(b []byte) (int64, error) {
	if len(b) > 18 || len(b) > 0 && b[0] == '-' {
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
