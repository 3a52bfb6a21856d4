package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opnfv/clover/clovisor"
)

// summarize prints what became of everything that was seen.
func summarize(w io.Writer, l *clovisor.Ledger, took time.Duration) {
	total := l.Total()
	fmt.Fprintf(w, "clovisor: %d sessions on %d connections in %s, %.1f %% whole; %d packets, %d bytes\n",
		total.Sessions, total.Connections, took.Round(10*time.Millisecond), total.Completeness, total.Packets, total.Bytes)
	if len(l.Entries) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "WHERE\tPROTOCOL\tSESSIONS\tOUTCOMES\tDROPPED PACKETS")
		for i := range l.Entries {
			e := &l.Entries[i]
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", where(e), e.Protocol, e.Sessions, outcomes(e), counts(e.Dropped))
		}
		_ = t.Flush()
	}
	for _, p := range l.Problems {
		fmt.Fprintf(w, "not traced: %s/%s: %s\n", p.Namespace, p.Pod, p.Reason)
	}
	if s := l.Spans; s.Endpoint != "" {
		fmt.Fprintf(w, "spans to %s: %d sent, %s dropped\n", s.Endpoint, s.Exported, counts(s.Dropped))
	}
}

func where(e *clovisor.Entry) string {
	switch {
	case e.Pod != "":
		return e.Namespace + "/" + e.Pod
	case e.Interface != "":
		return e.Interface
	}
	return "-"
}

func outcomes(e *clovisor.Entry) string {
	text := counts(e.Outcomes)
	if e.Open > 0 {
		text = fmt.Sprintf("%s, %d open", text, e.Open)
	}
	return text
}

// counts prints numbers with what they count, the greatest first.
func counts[K ~string, N int64 | uint64](m map[K]N) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b K) int {
		if m[a] != m[b] {
			return int(int64(m[b]) - int64(m[a]))
		}
		return strings.Compare(string(a), string(b))
	})
	var parts []string
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%d %s", m[k], k))
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}
