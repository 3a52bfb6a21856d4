package clovisor

import (
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/clovisor/plugin"
)

// TestSpecs holds that the limits of a configuration reach the plug-ins.
func TestSpecs(t *testing.T) {
	c, err := config.ParseFile("clovisor.yaml", []byte(`
proto_cfg: {a: /proto/a.wasm, b: b.wasm}
limits: {plugin_memory_bytes: 16MiB, plugin_timeout: 50ms}
`))
	if err != nil {
		t.Fatal(err)
	}
	c.Plugins[1].Generation = 7
	l := plugin.Limits{MemoryBytes: 16 << 20, Timeout: 50 * time.Millisecond}
	want := []plugin.Spec{{Protocol: "a", Path: "/proto/a.wasm", Limits: l}, {Protocol: "b", Path: "b.wasm", Generation: 7, Limits: l}}
	if got := specs(c); !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
