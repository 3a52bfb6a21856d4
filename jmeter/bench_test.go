package jmeter_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// BenchmarkJMX writes a plan of 1,000 requests.
func BenchmarkJMX(b *testing.B) {
	var text strings.Builder
	text.WriteString("url_list:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "- {name: url%d, url: \"http://proxy-access-control.default:9180/a/%d\", method: GET, user-agent: chrome, assert: [{status: 200}]}\n", i, i)
	}
	plan, err := jmeter.ParsePlan([]byte(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.JMX(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResults adds ten million results and reports what the last nine
// million of them took of memory.
func BenchmarkResults(b *testing.B) {
	for b.Loop() {
		var r jmeter.Results
		x := jmeter.Sample{Code: "200", Success: true}
		labels := []string{"url1", "url2", "url3"}
		var before, after runtime.MemStats
		start := time.Unix(1_700_000_000, 0)
		for i := range 10_000_000 {
			x.Label, x.Start, x.Elapsed = labels[i%3], start.Add(time.Duration(i)*100*time.Microsecond), time.Duration(i%1000+1)*37*time.Microsecond
			r.Add(&x)
			if i == 1_000_000 {
				runtime.GC()
				runtime.ReadMemStats(&before)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc)-float64(before.HeapAlloc), "B-more")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e7, "ns/result")
		runtime.KeepAlive(&r)
	}
}
