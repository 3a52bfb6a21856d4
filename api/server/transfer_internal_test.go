package server

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
)

// TestLedgerToImport holds that losses are counted once, wherever they have
// been in between.
func TestLedgerToImport(t *testing.T) {
	read := time.Unix(1000, 0).UTC()
	for _, c := range []struct {
		name    string
		entries []*v1.LedgerEntry
		have    []visibility.LedgerEntry
		want    int64 // truncated of import:jaeger
		marked  bool
	}{
		{"new", []*v1.LedgerEntry{{Source: "jaeger", Truncated: 10, Watermark: timestamppb.New(read)}}, nil, 10, true},
		{"again", []*v1.LedgerEntry{{Source: "jaeger", Truncated: 10}}, []visibility.LedgerEntry{{Source: "import:jaeger", Truncated: 10}}, 0, false},
		{"more of it", []*v1.LedgerEntry{{Source: "jaeger", Truncated: 12}}, []visibility.LedgerEntry{{Source: "import:jaeger", Truncated: 10}}, 2, false},
		{"beside own", []*v1.LedgerEntry{{Source: "jaeger", Truncated: 10}}, []visibility.LedgerEntry{{Source: "jaeger", Truncated: 4}}, 10, false},
		{"back", []*v1.LedgerEntry{{Source: "import:jaeger", Truncated: 10}}, []visibility.LedgerEntry{{Source: "jaeger", Truncated: 10}}, 0, false},
		{"back with more", []*v1.LedgerEntry{{Source: "import:jaeger", Truncated: 10}, {Source: "jaeger", Truncated: 5}},
			[]visibility.LedgerEntry{{Source: "jaeger", Truncated: 10}}, 5, false},
		{"back with more, again", []*v1.LedgerEntry{{Source: "import:jaeger", Truncated: 10}, {Source: "jaeger", Truncated: 5}},
			[]visibility.LedgerEntry{{Source: "jaeger", Truncated: 10}, {Source: "import:jaeger", Truncated: 5}}, 0, false},
		{"to a third", []*v1.LedgerEntry{{Source: "import:jaeger", Truncated: 10}, {Source: "jaeger", Truncated: 5}}, nil, 15, false},
		{"of an import", []*v1.LedgerEntry{{Source: "import", Truncated: 10}}, nil, 0, false},
		{"read already", []*v1.LedgerEntry{{Source: "jaeger", Watermark: timestamppb.New(read)}}, []visibility.LedgerEntry{{Source: "jaeger", Watermark: read}}, 0, false},
	} {
		var got int64
		batches := ledgerToImport(c.entries, c.have)
		for source, b := range batches {
			for _, l := range b.Ledger {
				if source != "import:jaeger" || l.Fate != visibility.FateTruncated {
					t.Errorf("%s: %s %+v", c.name, source, l)
				}
				got += l.Count
			}
		}
		marked := batches["jaeger"] != nil && batches["jaeger"].Watermarks[""].Equal(read)
		if got != c.want || marked != c.marked {
			t.Errorf("%s: %d truncated, want %d; marked: %v", c.name, got, c.want, marked)
		}
	}
}
