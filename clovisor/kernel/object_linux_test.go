package kernel

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// TestObjectIsOfTheSource holds that the object which is committed was made of
// the source beside it. Where the compiler is that made it, it is made again.
func TestObjectIsOfTheSource(t *testing.T) {
	hash := sha256.New()
	for _, name := range []string{"tracer.c", "tracer.h", "parse.h"} {
		data, err := os.ReadFile(filepath.Join("bpf", name))
		if err != nil {
			t.Fatal(err)
		}
		hash.Write(data)
	}
	said, err := os.ReadFile("bpf/tracer.o.source")
	if err != nil {
		t.Fatal(err)
	}
	sum, compiler, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	if sum != hex.EncodeToString(hash.Sum(nil)) {
		t.Fatal("the object is of another source: run 'go generate ./clovisor/kernel'")
	}
	version, err := exec.CommandContext(t.Context(), "clang", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), compiler+"\n") {
		t.Logf("not compiled again: the object is by %s, here is %q (%v)", compiler, version, err)
		return
	}
	out := filepath.Join(t.TempDir(), "tracer.o")
	if text, err := exec.CommandContext(t.Context(), "bpf/build.sh", out).CombinedOutput(); err != nil {
		t.Logf("not compiled again: %v: %s", err, text) // no headers
		return
	}
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, object) {
		t.Error("the compiler makes another object of the source: run 'go generate ./clovisor/kernel'")
	}
}

// TestPerfProgramIsForOldKernels holds that the program for kernels before 5.8
// uses nothing that came after 4.15: no loops, no calls, no newer helpers, and
// no more instructions than they take.
func TestPerfProgramIsForOldKernels(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"trace_perf", "more_perf"} {
		t.Run(name, func(t *testing.T) { isForOldKernels(t, spec.Programs[name]) })
	}
}

func isForOldKernels(t *testing.T, program *ebpf.ProgramSpec) {
	old := map[asm.BuiltinFunc]bool{
		asm.FnMapLookupElem: true, asm.FnMapDeleteElem: true, asm.FnSkbLoadBytes: true,
		asm.FnPerfEventOutput: true, asm.FnKtimeGetNs: true, asm.FnTailCall: true,
	}
	if n := len(program.Instructions); n > 4096 {
		t.Errorf("%d instructions, want 4,096 at most", n)
	}
	next := map[asm.RawInstructionOffset][]asm.RawInstructionOffset{}
	iter := program.Instructions.Iterate()
	for iter.Next() {
		ins, at := iter.Ins, iter.Offset
		after := at + 1
		if ins.OpCode.IsDWordLoad() {
			after++
		}
		op := ins.OpCode.JumpOp()
		switch {
		case ins.IsFunctionCall():
			t.Errorf("instruction %d calls a function: %v", at, ins)
		case ins.IsBuiltinCall() && !old[asm.BuiltinFunc(ins.Constant)]:
			t.Errorf("instruction %d: %v is newer", at, asm.BuiltinFunc(ins.Constant))
		}
		if !ins.OpCode.Class().IsJump() || op == asm.Call {
			next[at] = append(next[at], after)
			continue
		}
		if op != asm.Exit {
			next[at] = append(next[at], asm.RawInstructionOffset(int(after)+int(ins.Offset)))
		}
		if op != asm.Exit && op != asm.Ja {
			next[at] = append(next[at], after)
		}
	}
	if at, ok := findLoop(next); ok {
		t.Errorf("instruction %d is in a loop", at)
	}
}

// findLoop returns a node from which a way leads back to it.
func findLoop[N comparable](next map[N][]N) (loop N, found bool) {
	const onPath, done = 1, 2
	state := map[N]int{}
	var walk func(N)
	walk = func(n N) {
		state[n] = onPath
		for _, to := range next[n] {
			switch state[to] {
			case 0:
				walk(to)
			case onPath:
				loop, found = to, true
			}
		}
		state[n] = done
	}
	for n := range next {
		if state[n] == 0 {
			walk(n)
		}
	}
	return loop, found
}
