package alert

import "errors"

// Format reads alerts from the bytes of a log. It belongs to one reader at a
// time and keeps what it needs between records.
type Format interface {
	// Next takes the first record from data and returns its length, 0 if data
	// does not hold all of it. The alert is one that is complete now, or nil.
	// An error is about this record only, and reading goes on behind it, unless
	// the length is 0: then nothing behind it can be read either.
	Next(data []byte) (n int, a *Alert, err error)
	// Held is the number of bytes of the records at the end of those taken
	// that belong to an alert which is not complete yet.
	Held() int
	// Flush completes that alert, because nothing has come for a while.
	Flush() *Alert
}

// Errors of logs, to match with errors.Is.
var (
	// ErrRecord says that a record is not as its format says.
	ErrRecord = errors.New("not a record of this format")
	// ErrTooLong says that a record is longer than any may be.
	ErrTooLong = errors.New("the record is too long")
)

// MaxRecordBytes bounds one record of a log.
const MaxRecordBytes = 4 << 20
