package node

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/spool"
	"github.com/opnfv/clover/visibility/storetest"
)

// TestSpoolBeforeTheStore holds when there is a spool, and that the status
// and the metrics of a node have it.
func TestSpoolBeforeTheStore(t *testing.T) {
	for _, c := range []struct {
		dir   string
		bytes int64
		want  bool
	}{{t.TempDir(), 1 << 20, true}, {t.TempDir(), 0, false}, {"", 1 << 20, false}} {
		o := Options{DataDir: c.dir, flags: storeFlags{spoolBytes: c.bytes}}
		store, err := o.spool(storetest.NewReference(storetest.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := store.(*spool.Store); ok != c.want {
			t.Errorf("--data-dir %q --spool-bytes %d: spool %v, want %v", c.dir, c.bytes, ok, c.want)
		}
		n := &Node{opts: o, store: store}
		if list := n.outputs(); (len(list) == 1 && list[0].Kind == visibility.KindSpool) != c.want {
			t.Errorf("outputs %+v", list)
		}
		if _, ok := store.(prometheus.Collector); ok != c.want {
			t.Errorf("metrics: %v, want %v", ok, c.want)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
