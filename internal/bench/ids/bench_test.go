package idsbench

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/gonids"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/starter"
)

// corpora returns the rule texts to measure: the starter rules, which are as
// long as rules are, and one short rule for each option of Suricata. Only
// texts that both parsers take are measured.
func corpora(tb testing.TB) map[string][]string {
	tb.Helper()
	set, _ := starter.Rules(ids.Suricata)
	options, err := os.ReadFile("../../../ids/testdata/suricata.rules")
	if err != nil {
		tb.Fatal(err)
	}
	each, err := ids.Parse(string(options), ids.ParseOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string][]string{}
	for name, set := range map[string]*ids.Ruleset{"starter": set, "options": each} {
		for r := range set.Rules() {
			if _, err := gonids.ParseRule(r.String()); err == nil {
				out[name] = append(out[name], r.String())
			}
		}
		tb.Logf("%s: %d of %d rules are read by gonids too", name, len(out[name]), set.Len())
	}
	return out
}

// copies is how often a corpus is repeated, so that it fits in no cache.
const copies = 200

func measure(b *testing.B, parse func(rules []string, file string)) {
	for name, rules := range corpora(b) {
		b.Run(name, func(b *testing.B) {
			var many []string
			for range copies {
				many = append(many, rules...)
			}
			file := strings.Join(many, "\n") + "\n"
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			runtime.GC()
			b.ResetTimer()
			for range b.N {
				parse(many, file)
			}
			b.ReportMetric(float64(len(many))*float64(b.N)/b.Elapsed().Seconds(), "rules/s")
		})
	}
}

// BenchmarkClover reads a file into rules and options.
func BenchmarkClover(b *testing.B) {
	measure(b, func(_ []string, file string) {
		if _, err := ids.Parse(file, ids.ParseOptions{}); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkCloverTyped decodes every option and the header of each rule too,
// which is what gonids always does.
func BenchmarkCloverTyped(b *testing.B) {
	measure(b, func(_ []string, file string) {
		set, err := ids.Parse(file, ids.ParseOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for r := range set.Rules() {
			for _, o := range r.Options {
				if _, err := o.Typed(ids.Suricata); err != nil {
					b.Fatal(err)
				}
			}
			for _, e := range []ids.Endpoint{r.Source, r.Destination} {
				if _, err := e.Addresses.Parse(); err != nil {
					b.Fatal(err)
				}
				if _, err := e.Ports.Parse(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkCloverPrint writes what has been read.
func BenchmarkCloverPrint(b *testing.B) {
	var set *ids.Ruleset
	var last string
	measure(b, func(_ []string, file string) {
		if file != last {
			set, _ = ids.Parse(file, ids.ParseOptions{})
			last = file
		}
		if len(set.String()) != len(file) {
			b.Fatal("another text")
		}
	})
}

// BenchmarkGonids reads rule after rule.
func BenchmarkGonids(b *testing.B) {
	measure(b, func(rules []string, _ string) {
		for _, r := range rules {
			if _, err := gonids.ParseRule(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
