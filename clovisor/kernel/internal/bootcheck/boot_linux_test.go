package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// bootLimit is how long an emulated machine may take on a busy one.
const bootLimit = 15 * time.Minute

// TestOlderKernels boots the kernels of several releases of Debian, and traces
// a request on each of them in every way that it knows.
func TestOlderKernels(t *testing.T) {
	programs, folders := map[string]string{}, map[string]string{"amd64": t.TempDir(), "arm64": t.TempDir()}
	wantHooks := map[string]kernel.Hook{
		"linux-5.10-amd64": kernel.Clsact, "linux-6.1-amd64": kernel.Clsact, "linux-6.1-arm64": kernel.Clsact,
		"linux-6.12-amd64": kernel.TCX,
	}
	for _, k := range components.DebianKernels() {
		t.Run(k.Name, func(t *testing.T) {
			image := testutil.Require(t, k.Component)
			m := machines[k.Arch]
			qemu := testutil.Require(t, m.qemu())
			if programs[k.Arch] == "" {
				programs[k.Arch] = buildFor(t, folders[k.Arch], k.Arch)
			}
			check(t, boot(t, qemu, m, image, programs[k.Arch]), wantHooks[k.Name])
		})
	}
}

// machine is what QEMU emulates.
type machine struct {
	qemu    func() components.Component
	options []string
	console string
}

var machines = map[string]machine{
	"amd64": {components.Qemu, []string{"-M", "pc"}, "ttyS0"},
	"arm64": {components.QemuARM, []string{"-M", "virt", "-cpu", "cortex-a72"}, "ttyAMA0"},
}

// buildFor builds this package for an architecture.
func buildFor(t *testing.T, dir, arch string) string {
	t.Helper()
	program := filepath.Join(dir, "init")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return program
}

// check holds that every way worked that the kernel should know.
func check(t *testing.T, r bootReport, hook kernel.Hook) {
	t.Helper()
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Report.Hook != hook || r.Report.Buffer != kernel.Ring {
		t.Errorf("report %+v", r.Report)
	}
	if err := r.Report.Err(); err != nil {
		t.Error(err)
	}
	if want := map[kernel.Hook]int{kernel.Clsact: 2, kernel.TCX: 4}[hook]; len(r.Traces) != want {
		t.Errorf("%d traces, want %d", len(r.Traces), want)
	}
	for _, tr := range r.Traces {
		if tr.Error != "" || tr.Lost != 0 || tr.Left != 0 || !strings.HasPrefix(tr.Request, "GET /boot HTTP/1.1\r\n") ||
			!strings.HasSuffix(tr.Response, "\r\n\r\nthe answer") {
			t.Errorf("%+v", tr)
		}
	}
}

// bootReport is what bootcheck writes.
type bootReport struct {
	Error  string
	Report kernel.Report
	Traces []trace
}

// boot starts a virtual machine and returns what its first process reports.
func boot(t *testing.T, qemu string, m machine, image, program string) bootReport {
	t.Helper()
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := writeInitramfs(initrd, program, filepath.Join(filepath.Dir(image), "modules")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	options := slices.Concat(m.options, []string{
		"-accel", "tcg", "-m", "512", "-smp", "2", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", image, "-initrd", initrd, "-append", "console=" + m.console + " panic=-1 quiet",
	})
	cmd := exec.CommandContext(ctx, qemu, options...)
	out, err := cmd.CombinedOutput()
	_, line, ok := bytes.Cut(out, []byte(prefix))
	if !ok {
		t.Fatalf("no report (%v), the console: %s", err, out)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	var r bootReport
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return r
}

// writeInitramfs writes the root file system that the kernel starts with: the
// program as its first process, and modules.
func writeInitramfs(path, program, modules string) error {
	var archive bytes.Buffer
	add := func(name string, mode uint32, data []byte) {
		// The "new" form of cpio: thirteen hexadecimal fields.
		fmt.Fprintf(&archive, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
			0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
		pad(&archive)
		archive.Write(data)
		pad(&archive)
	}
	const directory, file = 0o040755, 0o100755
	init, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	add("dev", directory, nil)
	add("modules", directory, nil)
	add("init", file, init)
	found, err := filepath.Glob(filepath.Join(modules, "*"))
	if err != nil {
		return err
	}
	for _, m := range found {
		data, err := os.ReadFile(m)
		if err != nil {
			return err
		}
		add("modules/"+filepath.Base(m), file, data)
	}
	add("TRAILER!!!", 0, nil)
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, &archive); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, packed.Bytes(), 0o600)
}

// pad fills up to a multiple of four.
func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
