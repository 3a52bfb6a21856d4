// Package statuspage is a plain page that shows what a mesh does now. It is
// rendered on the server, runs no script, and loads nothing else.
package statuspage

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // for the template
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"ms":      milliseconds,
	"percent": func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
	"rate":    func(f float64) string { return fmt.Sprintf("%.2f/s", f) },
	"age":     age,
	"bytes":   mebibytes,
	"sum":     sum,
}).Parse(pageSource))

// policy forbids everything but the page's own style.
var policy = "default-src 'none'; style-src 'sha256-" + styleHash() +
	"'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// styleHash is the hash of the page's style element (CSP Level 3, §2.3.1).
func styleHash() string {
	_, rest, _ := strings.Cut(pageSource, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// data is what the page shows.
type data struct {
	User     string // "": has not signed in with the browser
	Now      time.Time
	Status   *v1.GetStatusResponse
	Services *v1.GetStatsResponse
	URLs     *v1.GetStatsResponse
	Graph    *v1.GetGraphResponse
	Ledger   *v1.GetLedgerResponse
}

// New returns the page over a visibility service. A nil logger is silent.
func New(service v1.VisibilityServiceServer, logger *slog.Logger) http.Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		d, err := load(r.Context(), service)
		d.User = server.SessionUser(r.Context())
		var out bytes.Buffer
		if err == nil {
			err = page.Execute(&out, d)
		}
		if err != nil {
			logger.Error("status page", "err", err)
			http.Error(w, "The figures cannot be read now: "+status.Convert(err).Message(), http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-store")
		if _, err := w.Write(out.Bytes()); err != nil {
			logger.Debug("status page: browser went away", "err", err)
		}
	})
}

// load asks for everything on the page.
func load(ctx context.Context, s v1.VisibilityServiceServer) (d data, err error) {
	d.Now = time.Now()
	if d.Status, err = s.GetStatus(ctx, &v1.GetStatusRequest{}); err != nil {
		return d, err
	}
	if d.Services, err = s.GetStats(ctx, &v1.GetStatsRequest{GroupBy: []string{"service"}, Limit: 30}); err != nil {
		return d, err
	}
	if d.URLs, err = s.GetStats(ctx, &v1.GetStatsRequest{GroupBy: []string{"service", "url", "status"}, Limit: 20}); err != nil {
		return d, err
	}
	if d.Graph, err = s.GetGraph(ctx, &v1.GetGraphRequest{}); err != nil {
		return d, err
	}
	d.Ledger, err = s.GetLedger(ctx, &v1.GetLedgerRequest{})
	return d, err
}

func milliseconds(d *durationpb.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.AsDuration())/float64(time.Millisecond))
}

func age(d *durationpb.Duration) string {
	return d.AsDuration().Round(100 * time.Millisecond).String()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// sum adds up counts by reason.
func sum(byReason map[string]int64) (n int64) {
	for _, v := range byReason {
		n += v
	}
	return n
}
