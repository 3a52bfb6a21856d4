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
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// bootLimit is how long an emulated machine may take on a busy one.
const bootLimit = 5 * time.Minute

// TestOlderKernels boots the kernels of several releases of Debian, and traces
// a request on each of them in every way that it knows.
func TestOlderKernels(t *testing.T) {
	qemu := testutil.Require(t, components.Qemu())
	program := filepath.Join(t.TempDir(), "init")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	wantHooks := map[string]kernel.Hook{"linux-5.10": kernel.Clsact, "linux-6.1": kernel.Clsact, "linux-6.12": kernel.TCX}
	for _, k := range components.DebianKernels() {
		t.Run(k.Name, func(t *testing.T) {
			image := testutil.Require(t, k)
			report := boot(t, qemu, image, program)
			if report.Error != "" {
				t.Fatal(report.Error)
			}
			if report.Report.Hook != wantHooks[k.Name] || report.Report.Buffer != kernel.Ring {
				t.Errorf("report %+v", report.Report)
			}
			if err := report.Report.Err(); err != nil {
				t.Error(err)
			}
			if want := map[kernel.Hook]int{kernel.Clsact: 2, kernel.TCX: 4}[wantHooks[k.Name]]; len(report.Traces) != want {
				t.Errorf("%d traces, want %d", len(report.Traces), want)
			}
			for _, tr := range report.Traces {
				if tr.Error != "" || tr.Lost != 0 || tr.Left != 0 || !strings.HasPrefix(tr.Request, "GET /boot HTTP/1.1\r\n") ||
					!strings.HasSuffix(tr.Response, "\r\n\r\nthe answer") {
					t.Errorf("%+v", tr)
				}
			}
		})
	}
}

// bootReport is what bootcheck writes.
type bootReport struct {
	Error  string
	Report kernel.Report
	Traces []trace
}

// boot starts a virtual machine and returns what its first process reports.
func boot(t *testing.T, qemu, image, program string) bootReport {
	t.Helper()
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := writeInitramfs(initrd, program, filepath.Join(filepath.Dir(image), "modules")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, "-M", "pc", "-accel", "tcg", "-m", "512", "-smp", "2", "-nodefaults", "-no-reboot",
		"-display", "none", "-serial", "stdio", "-kernel", image, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 quiet")
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
