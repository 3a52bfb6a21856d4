package jtl

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Attributes of a sample in JMeter's XML.
const (
	xmlRoot     = "testResults"
	xmlHTTP     = "httpSample"
	xmlOther    = "sample"
	maxXMLDepth = 100
)

// XMLWriter writes XML. It is not safe for concurrent use.
type XMLWriter struct {
	out *bufio.Writer
	enc *xml.Encoder
}

// NewXMLWriter writes the beginning of a file. Call Close at the end.
func NewXMLWriter(w io.Writer) (*XMLWriter, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	if _, err := out.WriteString(xml.Header + `<` + xmlRoot + ` version="1.2">` + "\n"); err != nil {
		return nil, err
	}
	return &XMLWriter{out: out, enc: xml.NewEncoder(out)}, nil
}

// Write writes a sample.
func (w *XMLWriter) Write(x *jmeter.Sample) error {
	name := xmlHTTP
	if x.Transaction {
		name = xmlOther
	}
	start := xml.StartElement{Name: xml.Name{Local: name}}
	add := func(key, value string) {
		start.Attr = append(start.Attr, xml.Attr{Name: xml.Name{Local: key}, Value: value})
	}
	number := func(key string, n int64) { add(key, strconv.FormatInt(n, 10)) }
	number("t", x.Elapsed.Milliseconds())
	number("it", x.Idle.Milliseconds())
	number("lt", x.Latency.Milliseconds())
	number("ct", x.Connect.Milliseconds())
	number("ts", x.Start.UnixMilli())
	add("s", strconv.FormatBool(x.Success))
	add("lb", x.Label)
	add("rc", x.Code)
	add("rm", x.Message)
	add("tn", x.Thread)
	add("dt", x.DataType)
	number("by", x.Bytes)
	number("sby", x.SentBytes)
	number("ng", int64(x.GroupThreads))
	number("na", int64(x.AllThreads))
	if err := w.enc.EncodeToken(start); err != nil {
		return err
	}
	if x.Failure != "" {
		if err := w.failure(x.Failure); err != nil {
			return err
		}
	}
	if err := w.enc.EncodeToken(start.End()); err != nil {
		return err
	}
	return w.enc.EncodeToken(xml.CharData("\n"))
}

func (w *XMLWriter) failure(why string) error {
	return w.enc.EncodeElement(struct {
		Name    string `xml:"name"`
		Failure bool   `xml:"failure"`
		Error   bool   `xml:"error"`
		Message string `xml:"failureMessage"`
	}{"assertion", true, false, why}, xml.StartElement{Name: xml.Name{Local: "assertionResult"}})
}

// Close writes the end of the file. It does not close what is written to.
func (w *XMLWriter) Close() error {
	if err := w.enc.Close(); err != nil {
		return err
	}
	if _, err := w.out.WriteString("</" + xmlRoot + ">\n"); err != nil {
		return err
	}
	return w.out.Flush()
}

// XMLReader reads XML. Samples within samples, such as those of redirects,
// are left out, as in CSV.
type XMLReader struct {
	dec   *xml.Decoder
	texts texts
}

// NewXMLReader reads the beginning of a file.
func NewXMLReader(in io.Reader) (*XMLReader, error) {
	r := &XMLReader{dec: xml.NewDecoder(bufio.NewReaderSize(in, 256<<10))}
	for {
		token, err := r.dec.RawToken()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			if start.Name.Local != xmlRoot {
				return nil, fmt.Errorf("%w: <%s>; want <%s>", ErrSyntax, start.Name.Local, xmlRoot)
			}
			return r, nil
		}
	}
}

// Read reads the next sample into x; at the end it returns io.EOF.
func (r *XMLReader) Read(x *jmeter.Sample) error {
	for {
		token, err := r.dec.RawToken()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the root has not ended
			}
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		switch token := token.(type) {
		case xml.EndElement:
			return io.EOF
		case xml.StartElement:
			*x = jmeter.Sample{}
			if err := r.readAttributes(x, token.Attr); err != nil {
				line, _ := r.dec.InputPos()
				return fmt.Errorf("%w: line %d: %w", ErrSyntax, line, err)
			}
			return r.rest(x)
		}
	}
}

// attributes are JMeter's names in XML.
var attributes = map[string]column{
	"t": elapsed, "it": idleTime, "lt": latency, "ct": connect, "ts": timeStamp, "s": success, "lb": label, "rc": responseCode,
	"rm": responseMessage, "tn": threadName, "dt": dataType, "by": bytesReceived, "sby": bytesSent, "ng": grpThreads, "na": allThreads,
}

func (r *XMLReader) readAttributes(x *jmeter.Sample, attrs []xml.Attr) error {
	for _, a := range attrs {
		if err := r.texts.set(x, attributes[a.Name.Local], []byte(a.Value)); err != nil {
			return fmt.Errorf("%s: %w", a.Name.Local, err)
		}
	}
	return nil
}

// rest reads what is in a sample, to its end.
func (r *XMLReader) rest(x *jmeter.Sample) error {
	depth, message := 1, false
	for depth > 0 {
		token, err := r.dec.RawToken()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth > maxXMLDepth {
				return fmt.Errorf("%w: nested too deeply", ErrSyntax)
			}
			message = depth == 3 && token.Name.Local == "failureMessage" && x.Failure == ""
		case xml.EndElement:
			depth--
			message = false
		case xml.CharData:
			if message {
				x.Failure += string(token)
			}
		}
	}
	return nil
}

// source is a Reader or an XMLReader.
type source interface{ Read(x *jmeter.Sample) error }

// Open reads a file of either kind.
func Open(in io.Reader) (interface{ Read(x *jmeter.Sample) error }, error) {
	buffered := bufio.NewReaderSize(in, 64<<10)
	first, err := buffered.Peek(1)
	if err == nil && first[0] == '<' {
		return NewXMLReader(buffered)
	}
	return NewReader(buffered)
}

// Merge writes the samples of several files, each sorted by time as JMeter
// writes them, as one that is sorted by time. It holds one sample of each.
func Merge(w interface{ Write(x *jmeter.Sample) error }, files ...io.Reader) error {
	type head struct {
		in     source
		sample jmeter.Sample
	}
	var heads []*head
	for i, f := range files {
		in, err := Open(f)
		if err != nil {
			return fmt.Errorf("file %d: %w", i+1, err)
		}
		h := &head{in: in}
		if err := in.Read(&h.sample); err == nil {
			heads = append(heads, h)
		} else if !errors.Is(err, io.EOF) {
			return fmt.Errorf("file %d: %w", i+1, err)
		}
	}
	for len(heads) > 0 {
		first := 0
		for i, h := range heads {
			if end(&h.sample).Before(end(&heads[first].sample)) {
				first = i
			}
		}
		h := heads[first]
		if err := w.Write(&h.sample); err != nil {
			return err
		}
		if err := h.in.Read(&h.sample); errors.Is(err, io.EOF) {
			heads = append(heads[:first], heads[first+1:]...)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// end is when a sample was written: at its end.
func end(x *jmeter.Sample) time.Time { return x.Start.Add(x.Elapsed) }

// Collect reads all samples of a file into numbers.
func Collect(in io.Reader) (*jmeter.Results, error) {
	results := &jmeter.Results{}
	from, err := Open(in)
	if err != nil {
		return results, err
	}
	var x jmeter.Sample
	for {
		if err := from.Read(&x); errors.Is(err, io.EOF) {
			return results, nil
		} else if err != nil {
			return results, err
		}
		results.Add(&x)
	}
}
