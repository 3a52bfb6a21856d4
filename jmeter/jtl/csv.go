package jtl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// ErrSyntax matches every fault of a file.
var ErrSyntax = errors.New("not a JTL file")

// MaxRecordBytes is the longest record that is read.
const MaxRecordBytes = 1 << 20

// Header names the columns that are written, in the order that users of
// Clover know.
const Header = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success," +
	"failureMessage,bytes,sentBytes,grpThreads,allThreads,Latency,IdleTime,Connect"

// Writer writes CSV. It is not safe for concurrent use.
type Writer struct {
	out *bufio.Writer
	buf []byte
}

// NewWriter writes the first line, which names the columns. Call Flush at the end.
func NewWriter(w io.Writer) (*Writer, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	_, err := out.WriteString(Header + "\n")
	return &Writer{out: out}, err
}

// Write writes a sample.
func (w *Writer) Write(x *jmeter.Sample) error {
	w.buf = AppendCSV(w.buf[:0], x)
	w.buf = append(w.buf, '\n')
	_, err := w.out.Write(w.buf)
	return err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.out.Flush() }

// AppendCSV appends a sample as a line without its end.
func AppendCSV(b []byte, x *jmeter.Sample) []byte {
	number := func(n int64) {
		b = append(strconv.AppendInt(b, n, 10), ',')
	}
	text := func(s string) {
		b = append(appendQuoted(b, s), ',')
	}
	number(x.Start.UnixMilli())
	number(x.Elapsed.Milliseconds())
	text(x.Label)
	text(x.Code)
	text(x.Message)
	text(x.Thread)
	text(x.DataType)
	b = append(strconv.AppendBool(b, x.Success), ',')
	text(x.Failure)
	number(x.Bytes)
	number(x.SentBytes)
	number(int64(x.GroupThreads))
	number(int64(x.AllThreads))
	number(x.Latency.Milliseconds())
	number(x.Idle.Milliseconds())
	return strconv.AppendInt(b, x.Connect.Milliseconds(), 10)
}

// appendQuoted quotes as JMeter does: only where it is needed.
func appendQuoted(b []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// Reader reads CSV. It is not safe for concurrent use.
type Reader struct {
	in      *bufio.Reader
	line    int
	columns []column
	pending []byte // the first line, if it is a record
	fields  [][]byte
	record  []byte // a record of several lines, or one longer than the buffer
	texts   texts
}

// NewReader reads the first line. Where that names no columns, they are those
// of [Header].
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 256<<10)}
	first, err := r.next()
	if errors.Is(err, io.EOF) {
		r.columns = columnsOf(strings.Split(Header, ","))
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	first = slices.Clone(first)
	if len(first) > 0 && first[0] >= '0' && first[0] <= '9' {
		r.pending = first
		r.columns = columnsOf(strings.Split(Header, ","))
		return r, nil
	}
	names := strings.Split(string(first), ",")
	if !slices.Contains(names, "timeStamp") || !slices.Contains(names, "elapsed") {
		return nil, fmt.Errorf("%w: line 1: want names of columns such as timeStamp,elapsed,label", ErrSyntax)
	}
	r.columns = columnsOf(names)
	return r, nil
}

// Read reads the next sample into x; at the end it returns io.EOF. Columns
// that are not known are left out.
func (r *Reader) Read(x *jmeter.Sample) error {
	line := r.pending
	r.pending = nil
	if line == nil {
		var err error
		if line, err = r.next(); err != nil {
			return err
		}
	}
	*x = jmeter.Sample{}
	if bytes.IndexByte(line, '"') < 0 {
		return r.plain(x, line)
	}
	fields, err := r.split(line)
	if err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrSyntax, r.line, err)
	}
	if len(fields) != len(r.columns) {
		return r.wrongCount(len(fields))
	}
	for i, f := range fields {
		if err := r.texts.set(x, r.columns[i], f); err != nil {
			return r.wrongValue(i, err)
		}
	}
	return nil
}

// plain reads a line without quotes, as most are.
func (r *Reader) plain(x *jmeter.Sample, line []byte) error {
	last, begin := len(r.columns)-1, 0
	for i, c := range r.columns {
		end := len(line)
		if i < last {
			n := bytes.IndexByte(line[begin:], ',')
			if n < 0 {
				return r.wrongCount(i + 1)
			}
			end = begin + n
		}
		if err := r.texts.set(x, c, line[begin:end]); err != nil {
			if n := bytes.Count(line, comma) + 1; n != len(r.columns) {
				return r.wrongCount(n)
			}
			return r.wrongValue(i, err)
		}
		begin = end + 1
	}
	if n := bytes.Count(line, comma) + 1; n != len(r.columns) {
		return r.wrongCount(n)
	}
	return nil
}

func (r *Reader) wrongCount(n int) error {
	return fmt.Errorf("%w: line %d: %d columns, want %d", ErrSyntax, r.line, n, len(r.columns))
}

func (r *Reader) wrongValue(column int, err error) error {
	return fmt.Errorf("%w: line %d, column %d: %w", ErrSyntax, r.line, column+1, err)
}

// next returns the next record without its end; it is valid until the next call.
func (r *Reader) next() ([]byte, error) {
	r.record = r.record[:0]
	quotes := 0
	for {
		piece, err := r.in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(piece)+len(r.record) > 0 {
			err = nil
		}
		if err == nil || errors.Is(err, bufio.ErrBufferFull) {
			whole := err == nil
			if len(r.record) == 0 && whole && bytes.IndexByte(piece, '"') < 0 {
				r.line++
				return trimEnd(piece), nil
			}
			if r.record = append(r.record, piece...); len(r.record) > MaxRecordBytes {
				return nil, fmt.Errorf("%w: line %d: longer than %d bytes", ErrSyntax, r.line+1, MaxRecordBytes)
			}
			quotes += bytes.Count(piece, quote)
			if whole {
				r.line++
				if quotes%2 == 0 || !bytes.HasSuffix(piece, newline) {
					return trimEnd(r.record), nil
				}
			}
			continue
		}
		return nil, err
	}
}

var quote, newline, comma = []byte{'"'}, []byte{'\n'}, []byte{','}

func trimEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, newline), []byte{'\r'})
}

// split cuts a record into fields.
func (r *Reader) split(line []byte) ([][]byte, error) {
	r.fields = r.fields[:0]
	for {
		var f []byte
		if len(line) > 0 && line[0] == '"' {
			end := 1
			for {
				i := bytes.IndexByte(line[end:], '"')
				if i < 0 {
					return nil, errors.New("a quote that does not end")
				}
				end += i + 1
				if end >= len(line) || line[end] != '"' {
					break
				}
				end++
			}
			f = bytes.ReplaceAll(line[1:end-1], []byte(`""`), quote)
			if line = line[end:]; len(line) > 0 && line[0] != ',' {
				return nil, errors.New("text after a quote")
			}
			r.fields = append(r.fields, f)
			if len(line) == 0 {
				return r.fields, nil
			}
			line = line[1:]
			continue
		}
		i := bytes.IndexByte(line, ',')
		if i < 0 {
			return append(r.fields, line), nil
		}
		r.fields = append(r.fields, line[:i])
		line = line[i+1:]
	}
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
