package jtl_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/jtl"
)

// guide are lines as users of 2019 know them, without names of columns.
const guide = `1541567388622,14,url1,200,OK,ThreadGroup 1-4,text,true,,843,0,1,1,14,0,0
1541567388637,8,url2,200,OK,ThreadGroup 1-4,text,true,,843,0,1,1,8,0,0
1541567400665,7,url1,503,"Service, ""gone""",ThreadGroup 1-5,text,false,"status 503
want 200",843,0,1,1,7,0,3
`

func readAll(t testing.TB, in io.Reader) []jmeter.Sample {
	t.Helper()
	r, err := jtl.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	var list []jmeter.Sample
	for {
		var x jmeter.Sample
		if err := r.Read(&x); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
}

func TestCSVOfTheGuide(t *testing.T) {
	list := readAll(t, strings.NewReader(guide))
	if len(list) != 3 {
		t.Fatalf("%d samples", len(list))
	}
	want := jmeter.Sample{
		Start: time.UnixMilli(1541567400665), Elapsed: 7 * time.Millisecond, Latency: 7 * time.Millisecond, Connect: 3 * time.Millisecond,
		Label: "url1", Code: "503", Message: `Service, "gone"`, Thread: "ThreadGroup 1-5", DataType: "text", Failure: "status 503\nwant 200",
		Bytes: 843, GroupThreads: 1, AllThreads: 1,
	}
	if list[2] != want {
		t.Errorf("%+v", list[2])
	}
	var b bytes.Buffer
	w, err := jtl.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := w.Write(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil || b.String() != jtl.Header+"\n"+guide {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestColumnsOfJMeter(t *testing.T) {
	const text = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect,extra\r\n" +
		"2026/11/26 01:02:03.456,14,t,200,\"Number of samples in transaction : 2, number of failing samples : 0\",g 1-1,,true,,9,8,7,6,http://a/?b,5,4,3,x\r\n"
	x := readAll(t, strings.NewReader(text))[0]
	if x.URL != "http://a/?b" || !x.Transaction || x.Start.Nanosecond() != 456e6 || x.Idle != 4*time.Millisecond || x.AllThreads != 6 {
		t.Errorf("%+v", x)
	}
}

func TestXMLKeepsEverything(t *testing.T) {
	list := readAll(t, strings.NewReader(guide))
	list[1].Transaction, list[1].Message = true, "Number of samples in transaction : 1, number of failing samples : 0"
	list[0].Label = `<a> & "b" ${c}`
	var b bytes.Buffer
	w, err := jtl.NewXMLWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := w.Write(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := readAll(t, &b)
	if len(again) != len(list) {
		t.Fatalf("%d samples", len(again))
	}
	for i := range list {
		if list[i] != again[i] {
			t.Errorf("%+v has become %+v", list[i], again[i])
		}
	}
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"hello\nworld\n":                                   "line 1: want names of columns",
		"timeStamp,elapsed\n1\n":                           "line 2: 1 columns, want 2",
		"timeStamp,elapsed\n1,x\n":                         `line 2, column 2: "x" is no number`,
		"timeStamp,elapsed\n1,\"2\n":                       "a quote that does not end",
		"timeStamp,elapsed\n1,\"2\"3\n":                    "text after a quote",
		"timeStamp,elapsed\n99999999999999999999,1":        "is no number",
		"<html></html>":                                    "<html>; want <testResults>",
		"<testResults><httpSample t='x'/>":                 "t: \"x\" is no number",
		"<testResults><httpSample t='1'/>":                 "unexpected EOF",
		"timeStamp,elapsed\n" + strings.Repeat("1", 2<<20): "longer than",
	} {
		_, err := jtl.Collect(strings.NewReader(text))
		if !errors.Is(err, jtl.ErrSyntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"", jtl.Header + "\n", "<testResults version='1.2'/>"} {
		if r, err := jtl.Collect(strings.NewReader(text)); err != nil || r.All.Count != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMergeSortsByTime(t *testing.T) {
	file := func(offset int) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, "%d,1,a,200,OK,g %d-1,text,true,,1,1,1,1,1,0,0\n", 1_700_000_000_000+i*10+offset, offset)
		}
		return b.String()
	}
	var b bytes.Buffer
	w, err := jtl.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := jtl.Merge(w, strings.NewReader(file(7)), strings.NewReader(file(3)), strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	list := readAll(t, &b)
	for i := 1; i < len(list); i++ {
		if list[i].Start.Before(list[i-1].Start) {
			t.Fatalf("sample %d is before the one in front of it", i)
		}
	}
	if len(list) != 200 {
		t.Errorf("%d samples", len(list))
	}
}

// FuzzCSV holds that what is written is read as the same.
func FuzzCSV(f *testing.F) {
	f.Add([]byte(guide))
	f.Add([]byte("timeStamp,elapsed,label\n1,2,\"a,\"\"b\n\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := jtl.NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		var x, y jmeter.Sample
		for r.Read(&x) == nil {
			again, err := jtl.NewReader(bytes.NewReader(append(jtl.AppendCSV([]byte(jtl.Header+"\n"), &x), '\n')))
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Read(&y); err != nil {
				t.Fatalf("%+v: %v", x, err)
			}
			x.URL, x.Start = "", y.Start
			if x != y && !strings.ContainsRune(x.Label+x.Code+x.Message+x.Thread+x.DataType+x.Failure, '\r') {
				t.Errorf("%+v has become %+v", x, y)
			}
		}
	})
}

// lines is a file of some MB.
func lines() []byte {
	var b bytes.Buffer
	b.WriteString(jtl.Header + "\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "%d,%d,url%d,200,OK,ThreadGroup 1-%d,text,true,,843,%d,5,5,%d,0,0\n", 1541567388622+i*7, i%90, i%5, i%100+1, 120+i%7, i%80)
	}
	return b.Bytes()
}

// BenchmarkRead reads a file into numbers, beside the standard library
// splitting it into fields only.
func BenchmarkRead(b *testing.B) {
	data := lines()
	b.Run("Collect", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if r, err := jtl.Collect(bytes.NewReader(data)); err != nil || r.All.Count != 50_000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("Read", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			r, err := jtl.NewReader(bytes.NewReader(data))
			if err != nil {
				b.Fatal(err)
			}
			var x jmeter.Sample
			for err == nil {
				err = r.Read(&x)
			}
			if !errors.Is(err, io.EOF) {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-csv", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r := csv.NewReader(bytes.NewReader(data))
			r.ReuseRecord = true
			for {
				if _, err := r.Read(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// TestQuoteWithoutEnd holds that a record's cost does not grow with the square
// of its lines.
func TestQuoteWithoutEnd(t *testing.T) {
	text := "timeStamp,elapsed,label\n1,2,\"" + strings.Repeat("\n", jtl.MaxRecordBytes+1)
	if _, err := jtl.Collect(strings.NewReader(text)); !errors.Is(err, jtl.ErrSyntax) {
		t.Error(err)
	}
}
