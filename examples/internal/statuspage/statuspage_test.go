package statuspage

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// service answers with one hostile name, and one entry of a ledger with
// losses.
type service struct {
	v1.UnimplementedVisibilityServiceServer
	err error
}

func (s *service) GetStatus(context.Context, *v1.GetStatusRequest) (*v1.GetStatusResponse, error) {
	return &v1.GetStatusResponse{Store: &v1.StoreStatus{Name: "embedded"}}, s.err
}

func (*service) GetStats(_ context.Context, r *v1.GetStatsRequest) (*v1.GetStatsResponse, error) {
	values := []string{"<script>", "http://web/a", "200"}[:len(r.GetGroupBy())]
	return &v1.GetStatsResponse{Groups: []*v1.StatsGroup{{Values: values, Stats: &v1.Stats{Count: 41}}}, Completeness: &v1.Completeness{}}, nil
}

func (*service) GetGraph(context.Context, *v1.GetGraphRequest) (*v1.GetGraphResponse, error) {
	return &v1.GetGraphResponse{}, nil
}

func (*service) GetLedger(context.Context, *v1.GetLedgerRequest) (*v1.GetLedgerResponse, error) {
	return &v1.GetLedgerResponse{Entries: []*v1.LedgerEntry{{
		Source: "otlp/grpc", Service: "web", Seen: 50, Kept: 41,
		Rejected: map[string]int64{"too large": 3, "no id": 2}, Dropped: map[string]int64{"paused": 4},
	}}}, nil
}

func render(t *testing.T, s *service) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	New(s, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

func TestPageShowsFiguresAndLosses(t *testing.T) {
	code, text := render(t, &service{})
	if code != http.StatusOK || strings.Contains(text, "<script>") {
		t.Errorf("%d %s", code, text)
	}
	for _, want := range []string{"&lt;script&gt;", ">41</td>", `<td class="n bad">5</td><td class="n bad">4</td>`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestPageSaysWhyThereAreNoFigures(t *testing.T) {
	code, text := render(t, &service{err: status.Error(codes.Unavailable, "the store is away")})
	if want := "The figures cannot be read now: the store is away\n"; code != http.StatusServiceUnavailable || text != want {
		t.Errorf("%d %q, want %q", code, text, want)
	}
}
