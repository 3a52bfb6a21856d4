package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/internal/testutil"
)

// limit is how long something is waited for.
const limit = 30 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program runs the program until end is called, at the latest at the end of
// the test.
func program(t *testing.T, stdout io.Writer, args ...string) (errs *testutil.Output, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	errs = &testutil.Output{}
	done := make(chan error, 1)
	args = append(args, "--name", fmt.Sprintf("program-%d", os.Getpid()))
	go func() { done <- run(ctx, args, stdout, errs) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v: %v", args, err)
		}
	})
	t.Cleanup(end)
	return errs, end
}

// request makes a request on a connection of its own.
func request(t *testing.T, config *tls.Config, url string) (status int, body []byte, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// TestEndpoints holds who is answered: clients with a certificate of the right
// name, and everybody about metrics only where the operator wants that.
func TestEndpoints(t *testing.T) {
	readLimitOf(t, time.Minute) // a busy machine takes its time for a handshake
	ns, ca := testutil.Namespace(t), testutil.NewAuthority(t)
	cert, key := ca.Server(t)
	addr, metrics := testutil.FreeAddr(t), testutil.FreeAddr(t)
	program(t, io.Discard, "--interface", ns.HostInterface, "--http-addr", addr, "--metrics-addr", metrics,
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-ca-file", ca.File, "--tls-client-name", "reader")
	testutil.Eventually(t, limit, func() (bool, string) {
		status, _, err := request(t, nil, "http://"+metrics+"/readyz")
		return status == http.StatusOK, fmt.Sprint(status, err)
	})
	client := func(name string) *tls.Config {
		c, k := ca.Client(t, name)
		return ca.ClientConfig(t, c, k)
	}
	if status, body, err := request(t, client("reader"), "https://"+addr+"/ledger"); status != http.StatusOK || !json.Valid(body) {
		t.Errorf("the right client: %d %s, %v", status, body, err)
	}
	if status, body, err := request(t, client("other"), "https://"+addr+"/ledger"); status != http.StatusForbidden {
		t.Errorf("another client: %d %s, %v", status, body, err)
	}
	if status, _, err := request(t, ca.ClientConfig(t), "https://"+addr+"/ledger"); err == nil {
		t.Errorf("without a certificate: %d", status)
	}
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/healthz": http.StatusOK, "/ledger": http.StatusNotFound} {
		if status, _, err := request(t, nil, "http://"+metrics+path); status != want {
			t.Errorf("%s for all: %d, %v, want %d", path, status, err, want)
		}
	}
}

// readLimitOf sets how long a client may take to ask, until the end of the
// test.
func readLimitOf(t *testing.T, d time.Duration) {
	t.Helper()
	old := readLimit
	readLimit = d
	t.Cleanup(func() { readLimit = old })
}

// TestSlowClient holds that whoever does not say what it wants is not waited
// for.
func TestSlowClient(t *testing.T) {
	readLimitOf(t, 200*time.Millisecond)
	addr := testutil.FreeAddr(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- listen(ctx, addr, newServer(http.NotFoundHandler(), nil, testutil.Logger(t))) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	var conn net.Conn
	testutil.Eventually(t, limit, func() (ok bool, state string) {
		var err error
		conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		return err == nil, fmt.Sprint(err)
	})
	defer conn.Close()
	_, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\n")
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(2*time.Minute)))
	if answer, err := io.ReadAll(conn); err != nil {
		t.Errorf("the slow client still has its connection: %q, %v", answer, err)
	}
}

// stuck is a terminal that takes nothing until it is told to.
type stuck struct {
	once  sync.Once
	asked chan struct{} // closed when there is something to take
	until chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.asked) })
	<-s.until
	return len(p), nil
}

// TestFlood sends more than can be kept, while the program waits for its
// terminal: the ledger adds up to what was sent.
func TestFlood(t *testing.T) {
	ns, addr := testutil.Namespace(t), testutil.FreeAddr(t)
	in, out := rawSocket(t, "", ns.HostInterface), rawSocket(t, "/var/run/netns/"+ns.Name, ns.Interface)
	terminal := &stuck{asked: make(chan struct{}), until: make(chan struct{})}
	release := sync.OnceFunc(func() { close(terminal.until) })
	errs, end := program(t, terminal, "--interface", ns.HostInterface, "--port", "80=http", "-o", "json", "--http-addr", addr)
	t.Cleanup(release)
	testutil.Eventually(t, limit, func() (bool, string) {
		status, _, err := request(t, nil, "http://"+addr+"/readyz")
		return status == http.StatusOK, fmt.Sprint(status, err, errs)
	})
	sent := int64(0)
	send := func(segments sessiontest.Segments) {
		for _, s := range segments {
			socket := out
			if s.Destination.Port() == 80 {
				socket = in
			}
			frame, err := packet.AppendFrame(nil, s)
			must(t, err)
			_, err = unix.Write(socket, frame)
			must(t, err)
			sent++
		}
	}
	first := sessiontest.Open(netip.MustParseAddrPort("10.9.9.9:999"), sessiontest.Server)
	first.Client(sessiontest.Get(1).Request())
	first.Server(sessiontest.Get(1).Response())
	send(first.Segments)
	<-terminal.asked
	// The buffer is of 8 MiB.
	get := "GET /flood HTTP/1.1\r\nHost: web\r\nPad: " + strings.Repeat("x", 1200) + "\r\n\r\n"
	flood := sessiontest.Open(netip.MustParseAddrPort("10.9.9.9:1000"), sessiontest.Server)
	for range 16_000 {
		flood.Client(get)
	}
	send(flood.Segments)
	release()
	var total clovisor.Entry
	testutil.Eventually(t, limit, func() (bool, string) {
		var l clovisor.Ledger
		_, body, err := request(t, nil, "http://"+addr+"/ledger")
		must(t, err)
		must(t, json.NewDecoder(bytes.NewReader(body)).Decode(&l))
		total = l.Total()
		return total.Packets+total.Dropped["buffer_full"] == sent, fmt.Sprintf("%d were sent: %+v", sent, total)
	})
	t.Logf("%d were sent: %+v", sent, total)
	if total.Dropped["buffer_full"] == 0 || len(total.Dropped) != 1 || total.Balance() != 0 {
		t.Errorf("ledger %+v, want packets that did not fit, and a balance of 0", total)
	}
	end()
	if want := fmt.Sprintf("%d packets", total.Packets); !strings.Contains(errs.String(), want) || !strings.Contains(errs.String(), " buffer_full") {
		t.Errorf("no %q in the summary:\n%s", want, errs)
	}
}

// rawSocket sends frames from an interface of a network namespace, "" for
// this one.
func rawSocket(t *testing.T, netns, name string) (fd int) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		if netns != "" {
			runtime.LockOSThread() // the thread ends with the goroutine
		}
		done <- func() error {
			if netns != "" {
				ns, err := os.Open(netns)
				if err != nil {
					return err
				}
				defer ns.Close()
				if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
					return err
				}
			}
			link, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			// Protocol 0 receives nothing.
			if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			var protocol [2]byte
			binary.BigEndian.PutUint16(protocol[:], unix.ETH_P_ALL)
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(protocol[:]), Ifindex: link.Index})
		}()
	}()
	must(t, <-done)
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}
