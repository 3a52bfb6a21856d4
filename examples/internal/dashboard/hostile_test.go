package dashboard

import (
	"crypto/rand"
	"time"

	"github.com/opnfv/clover/tracing"
)

// hostile are texts that would run a script, leave their element, or break
// what shows them, if they were taken for anything but text.
var hostile = []string{
	`<script>window.pwned=1</script>`,
	`"><img src=x onerror=window.pwned=1>`,
	`'><svg/onload=window.pwned=1>`,
	`javascript:window.pwned=1`,
	`{{constructor.constructor("window.pwned=1")()}}${window.pwned=1}`,
	"=HYPERLINK(\"http://evil.example.com\")\u202e\u0007%s%n",
}

// hostileSpans have each of the texts in every field that callers and
// workloads choose.
func hostileSpans(now time.Time) (spans []tracing.Span) {
	for i, text := range hostile {
		s := tracing.NewSpan()
		s.Kind, s.Start, s.Duration = tracing.KindServer, now.Add(time.Duration(i-60)*time.Second), time.Duration(i+1)*time.Millisecond
		s.Method, s.StatusCode = "GET", 200
		s.URL, s.UpstreamCluster = "http://web/"+text, "inbound|9180||"+text
		s.Service, s.Operation, s.UserAgent, s.Node, s.Version, s.StatusMessage, s.Peer = text, text, text, text, text, text, text
		s.Attributes = []tracing.Attribute{{Key: text, Value: text}}
		// Neither fails.
		_, _ = rand.Read(s.TraceID[:])
		_, _ = rand.Read(s.SpanID[:])
		spans = append(spans, s)
	}
	return spans
}
