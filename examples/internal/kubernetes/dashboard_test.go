package kubernetes

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/opnfv/clover/internal/testutil/browser"
)

// guideDashboard has a browser open the dashboard through the port of the
// node, and sign in with the token of one who may only read.
func (k *kit) guideDashboard() {
	k.Helper()
	counts, err := json.Marshal(k.counted())
	k.check(err)
	token, err := os.ReadFile(filepath.Join(k.home, "reader"))
	k.check(err)
	k.Run("dashboard", func(t *testing.T) {
		b := browser.New(t, repository)
		addr := b.Isolate(t, net.JoinHostPort(k.cluster.NodeAddress(), "32044"))
		b.Run(t, "cluster.test.mjs", map[string]string{"CLOVER_URL": "https://" + addr, "CLOVER_TOKEN": string(token), "CLOVER_COUNTS": string(counts)})
	})
}
