package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/packet"
)

const (
	hostEnd, podEnd = "host0", "pod0"
	port            = 8080
	timeout         = time.Minute // the machine is emulated
)

var hostAddr, podAddr = netip.MustParsePrefix("198.18.0.1/30"), netip.MustParsePrefix("198.18.0.2/30")

func powerOff() error {
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() result {
	if err := prepare(); err != nil {
		return result{Error: err.Error()}
	}
	report := kernel.Check()
	r := result{Report: report}
	listener, err := makePod()
	if err != nil {
		r.Error = err.Error()
		return r
	}
	server := &http.Server{ReadHeaderTimeout: timeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the answer")
	})}
	go func() { _ = server.Serve(listener) }()
	hooks, buffers := []kernel.Hook{kernel.Clsact}, []kernel.Buffer{kernel.Perf}
	if report.Hook == kernel.TCX {
		hooks = append(hooks, kernel.TCX)
	}
	if report.Buffer == kernel.Ring {
		buffers = append(buffers, kernel.Ring)
	}
	for _, h := range hooks {
		for _, b := range buffers {
			r.Traces = append(r.Traces, traceOne(h, b))
		}
	}
	return r
}

// prepared says that this is the second start.
const prepared = "BOOTCHECK_PREPARED"

// prepare mounts what is needed, loads the modules and starts this program
// again: some of its packages look at /proc before main begins.
func prepare() error {
	if os.Getenv(prepared) != "" {
		return nil
	}
	for _, m := range []struct{ path, kind string }{{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}} {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.path, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	modules, err := filepath.Glob("/modules/*")
	if err != nil {
		return err
	}
	for _, path := range modules {
		if err := loadModule(path); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	return unix.Exec(os.Args[0], os.Args, append(os.Environ(), prepared+"=1"))
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(path, ".ko") { // the kernel that has it so can read it
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}

// makePod makes a network namespace with a link to this one, and listens in
// it.
func makePod() (net.Listener, error) {
	type made struct {
		listener net.Listener
		err      error
	}
	ready, moved, done := make(chan int, 1), make(chan error, 1), make(chan made, 1)
	go func() {
		runtime.LockOSThread() // the thread is the pod from here on
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- made{err: err}
			return
		}
		ready <- unix.Gettid()
		if <-moved != nil {
			return
		}
		err := errors.Join(setUp("lo", netip.Prefix{}), setUp(podEnd, podAddr))
		if err != nil {
			done <- made{err: err}
			return
		}
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", netip.AddrPortFrom(podAddr.Addr(), port).String())
		done <- made{l, err}
		select {} // the namespace lives as long as the thread
	}()
	select {
	case tid := <-ready:
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostEnd}, PeerName: podEnd, PeerNamespace: netlink.NsPid(tid)})
		moved <- err
		if err != nil {
			return nil, fmt.Errorf("make a veth: %w", err)
		}
		if err := setUp(hostEnd, hostAddr); err != nil {
			return nil, err
		}
		m := <-done
		return m.listener, m.err
	case m := <-done:
		return m.listener, m.err
	}
}

func setUp(name string, addr netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if addr.IsValid() {
		a, err := netlink.ParseAddr(addr.String())
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return netlink.LinkSetUp(l)
}

// traceOne traces one request.
func traceOne(hook kernel.Hook, buffer kernel.Buffer) trace {
	t := trace{Hook: string(hook), Buffer: string(buffer)}
	c, err := kernel.New(kernel.Options{Hook: hook, Buffer: buffer})
	if err != nil {
		t.Error = err.Error()
		return t
	}
	if err := c.Attach(kernel.Target{
		ID: 1, Interface: hostEnd, HostSide: true, Rules: kernel.Rules{Ports: []kernel.Port{{Number: port}}},
	}); err != nil {
		t.Error = errors.Join(err, c.Close()).Error()
		return t
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var mu sync.Mutex
	var in, out strings.Builder
	seen := make(chan struct{})
	whole := sync.OnceFunc(func() { close(seen) })
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, func(s *packet.Segment) {
			mu.Lock()
			defer mu.Unlock()
			if s.Direction == packet.Ingress {
				in.Write(s.Payload)
			} else {
				out.Write(s.Payload)
			}
			if strings.Contains(out.String(), "the answer") {
				whole()
			}
		})
	}()
	if err := request(ctx); err != nil {
		t.Error = err.Error()
	}
	select {
	case <-seen:
	case <-ctx.Done():
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error += " run: " + err.Error()
	}
	stats, err := c.Stats()
	if err != nil {
		t.Error += " stats: " + err.Error()
	}
	t.Request, t.Response, t.Lost = in.String(), out.String(), stats.Targets[1].Lost
	t.Left = left()
	return t
}

func request(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+netip.AddrPortFrom(podAddr.Addr(), port).String()+"/boot", http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// left counts what is on the interface.
func left() int {
	l, err := netlink.LinkByName(hostEnd)
	if err != nil {
		return -1
	}
	qdiscs, err := netlink.QdiscList(l)
	if err != nil {
		return -1
	}
	n := 0
	for _, q := range qdiscs {
		if q.Attrs().Parent == netlink.HANDLE_CLSACT {
			n++
		}
	}
	return n
}
