package plugin_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/plugin"
)

func TestLoadFaults(t *testing.T) {
	dir := folder(t)
	write(t, filepath.Join(dir, "x.so"), []byte("\x7fELF"))
	write(t, filepath.Join(dir, "elf.wasm"), []byte("\x7fELF"))
	write(t, filepath.Join(dir, "text.wasm"), []byte("hello"))
	write(t, filepath.Join(dir, "empty.wasm"), []byte("\x00asm\x01\x00\x00\x00"))
	write(t, filepath.Join(dir, "cut.wasm"), modules.data[:len(modules.data)/2])
	outside := filepath.Join(t.TempDir(), "outside.wasm")
	write(t, outside, modules.data)
	if err := os.Symlink(outside, filepath.Join(dir, "link.wasm")); err != nil {
		t.Fatal(err)
	}
	h := host(t, plugin.Options{Dir: dir, Timeout: time.Minute})
	load(t, h)
	for path, want := range map[string]error{
		"x.so": plugin.ErrNative, "elf.wasm": plugin.ErrNative, filepath.Join(dir, "x.so"): plugin.ErrNative,
		"text.wasm": plugin.ErrModule, "empty.wasm": plugin.ErrModule, "cut.wasm": plugin.ErrModule,
		"none.wasm": fs.ErrNotExist, "../x.wasm": nil, outside: nil, "link.wasm": nil, dir: nil, "": nil,
	} {
		err := h.Load("test", path)
		var e *plugin.Error
		if !errors.As(err, &e) || e.Op != "load" || e.Protocol != "test" || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if s := h.Status(); len(s) != 1 || s[0].Err != nil || s[0].Path != "hostile.wasm" {
		t.Errorf("what could not be loaded is in the place of what works: %+v", s)
	}
	if _, ok := h.Protocol("other"); ok {
		t.Error("there is a protocol without a plug-in")
	}
	h.Remove("test")
	if _, ok := h.Protocol("test"); ok || len(h.Status()) != 0 {
		t.Error("a plug-in that was removed is there")
	}
}

// TestApply follows a configuration.
func TestApply(t *testing.T) {
	dir := folder(t)
	h := host(t, plugin.Options{Dir: dir, Timeout: time.Minute})
	h.Register("own", &lines{})
	plugin.SetCode(h, "test", modules.code)
	state := func() string {
		var out []string
		for _, s := range h.Status() {
			out = append(out, fmt.Sprintf("%s=%s", s.Protocol, s.Path))
		}
		return strings.Join(out, " ")
	}
	loaded := func() time.Time { return h.Status()[len(h.Status())-1].Loaded }
	spec := plugin.Spec{Protocol: "test", Path: "hostile.wasm"}
	if err := h.Apply([]plugin.Spec{spec}); err != nil || state() != "own= test=hostile.wasm" {
		t.Fatalf("%v %s", err, state())
	}
	first := loaded()
	if err := h.Apply([]plugin.Spec{spec}); err != nil || !loaded().Equal(first) {
		t.Errorf("%v, or it was loaded again without need", err)
	}
	spec.Generation++
	if err := h.Apply([]plugin.Spec{spec}); err != nil || loaded().Equal(first) {
		t.Errorf("%v, or it was not loaded again", err)
	}
	missing := plugin.Spec{Protocol: "test", Path: "none.wasm"}
	if err := h.Apply([]plugin.Spec{missing}); !errors.Is(err, fs.ErrNotExist) || state() != "own= test=hostile.wasm" {
		t.Errorf("%v %s", err, state())
	}
	if err := h.Apply([]plugin.Spec{missing}); err != nil {
		t.Errorf("a file that is not there is told twice: %v", err)
	}
	if err := h.Apply(nil); err != nil || state() != "own=" {
		t.Errorf("%v %s", err, state())
	}
}
