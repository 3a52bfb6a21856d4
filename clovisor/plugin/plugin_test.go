package plugin_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/internal/testutil"
)

var (
	client = netip.MustParseAddrPort("10.0.0.1:40000")
	server = netip.MustParseAddrPort("10.0.0.2:7000")
)

// modules holds the module of the tests, which is built and compiled once.
var modules struct {
	once sync.Once
	data []byte
	code *plugin.Code
}

// folder returns a folder with the hostile module in it.
func folder(t testing.TB) string {
	t.Helper()
	modules.once.Do(func() {
		var err error
		if modules.data, err = os.ReadFile(testutil.WASM(t, "testdata/hostile")); err != nil {
			t.Error(err)
		}
	})
	if modules.data == nil {
		t.Fatal("the module of the tests is not built")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hostile.wasm"), modules.data)
	return dir
}

// load loads the hostile module.
func load(t testing.TB, h *plugin.Host) {
	t.Helper()
	if plugin.CodeOf(h, "test") == nil {
		plugin.SetCode(h, "test", modules.code)
	}
	if err := h.Load("test", "hostile.wasm"); err != nil {
		t.Fatal(err)
	}
	modules.code = plugin.CodeOf(h, "test")
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func host(t testing.TB, o plugin.Options) *plugin.Host {
	t.Helper()
	if o.CompileTimeout == 0 {
		o.CompileTimeout = time.Hour // with the race detector on a busy machine
	}
	if o.Share == 0 {
		o.Share = 1 // the same
	}
	h := plugin.NewHost(o)
	t.Cleanup(h.Close)
	return h
}

// run gives the engine a conversation and returns the sessions as text.
func run(t testing.TB, h *plugin.Host, c *sessiontest.Conversation) []string {
	t.Helper()
	o := session.Options{
		Protocol: h.Protocol,
		Port: func(_ uint32, addr netip.AddrPort) string {
			if addr == server {
				return "test"
			}
			return ""
		},
	}
	got, ledger := sessiontest.Run(o, c.Segments)
	var total int64
	for _, l := range ledger {
		for _, n := range l.Outcomes {
			total += n
		}
	}
	if total != int64(len(got)) {
		t.Errorf("%d sessions, the ledger has %d", len(got), total)
	}
	out := make([]string, len(got))
	for i := range got {
		out[i] = text(&got[i])
	}
	return out
}

func text(s *session.Session) string {
	out := fmt.Sprintf("%s %s %d>%d", s.Protocol, s.Outcome, s.Request.BodyBytes, s.Response.BodyBytes)
	for _, a := range s.Attributes {
		out += " " + a.Key + "=" + a.Value
	}
	return out
}

// lines is a parser of lines that is part of the binary.
type lines struct {
	mu    sync.Mutex
	ended []string
}

func (l *lines) Parse(_ string, isReq bool, data []byte) ([]byte, map[string]string) {
	line, rest, ok := strings.Cut(string(data), "\n")
	switch {
	case !ok:
		return data, nil
	case line == "panic":
		panic("as it was told")
	case line == "alone":
		return []byte(rest), map[string]string{plugin.NoResponse: ""}
	case isReq:
		return []byte(rest), map[string]string{"request": line}
	}
	return []byte(rest), map[string]string{"response": line}
}

func (l *lines) End(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, key)
}

// TestPairing holds what the engine makes of a plug-in's messages, however
// they are cut.
func TestPairing(t *testing.T) {
	for _, mss := range []int{1, 2, 3, 5, 1460} {
		l := &lines{}
		h := host(t, plugin.Options{})
		h.Register("test", l)
		c := sessiontest.Open(client, server)
		c.MSS = mss
		c.Client("one\ntwo\nalone\nth")
		c.Server("1\n")
		c.Client("ree\n")
		c.Server("2\n3\n")
		c.Client("four\nfi")
		c.Close()
		want := []string{
			"test paired 6>0",
			"test paired 4>2 request=one response=1", "test paired 4>2 request=two response=2",
			"test paired 6>2 request=three response=3", "test no_response_closed 5>0 request=four",
		}
		if got := run(t, h, c); !slices.Equal(got, want) {
			t.Errorf("segments of %d: got\n%s\nwant\n%s", mss, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(l.ended) != 1 || !strings.HasPrefix(l.ended[0], "test/") {
			t.Errorf("ended %q", l.ended)
		}
	}
}

// TestLoss holds that a gap gives no wrong pair.
func TestLoss(t *testing.T) {
	h := host(t, plugin.Options{})
	h.Register("test", &lines{})
	c := sessiontest.Open(client, server)
	c.Client("one\n")
	c.Server("1\n")
	c.Lose(0, []byte("lost\nhalf "))
	c.Client("line\n")
	c.Acknowledge(protocol.Server)
	c.Wait(time.Minute)
	c.Server("lost\n")
	c.Server("half\n")
	c.Client("next\n")
	c.Server("n\n")
	c.Close()
	got := run(t, h, c)
	for _, s := range got {
		if strings.Contains(s, "request=line") && strings.Contains(s, "response=") {
			t.Errorf("wrong pair: %s", s)
		}
	}
	if got[0] != "test paired 4>2 request=one response=1" || got[len(got)-1] != "test paired 5>2 request=next response=n" {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestTooLong holds that a message that does not end is not kept for ever.
func TestTooLong(t *testing.T) {
	h := host(t, plugin.Options{})
	h.Register("test", &lines{})
	c := sessiontest.Open(client, server)
	c.Client(strings.Repeat("x", plugin.MaxMessageBytes))
	c.Client("\nnext\n")
	c.Server("1\n")
	c.Close()
	got := run(t, h, c)
	if len(got) == 0 || !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "request=next") }) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// TestModule holds that a module works as a Go parser does, and that it sees
// nothing of the machine.
func TestModule(t *testing.T) {
	h := host(t, plugin.Options{Dir: folder(t), Timeout: time.Minute})
	load(t, h)
	c := sessiontest.Open(client, server)
	for _, command := range []string{"hello", "file", "environment", "skip\nhi"} {
		c.Client(command + "\n")
		c.Server("yes\n")
	}
	c.Close()
	got := run(t, h, c)
	if len(got) != 4 {
		t.Fatalf("%s", strings.Join(got, "\n"))
	}
	for i, want := range []string{"said=hello", "error=open /etc/passwd: ", "n=0", "said=hi"} {
		if !strings.Contains(got[i], want) || !strings.Contains(got[i], "said=yes") {
			t.Errorf("%s, want %s", got[i], want)
		}
	}
	again := sessiontest.Open(client, server)
	again.Client("ended\n")
	again.Server("yes\n")
	again.Close()
	if got := run(t, h, again); !strings.Contains(got[0], " n=1") {
		t.Errorf("%s, want one connection that has ended", got)
	}
	if s := h.Status(); len(s) != 1 || s[0].Err != nil || s[0].Calls == 0 || s[0].Memory <= 0 {
		t.Errorf("%+v", s)
	}
}

// TestBroken holds that a plug-in that does not behave is stopped and told,
// that tracing goes on, and that loading it again mends it.
func TestBroken(t *testing.T) {
	dir, log := folder(t), &testutil.Output{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	// What is to end by itself gets time for it on a busy machine.
	patient := host(t, plugin.Options{Dir: dir, Timeout: time.Minute, Logger: logger})
	hasty := host(t, plugin.Options{Dir: dir, Timeout: 3 * time.Second, Logger: logger})
	for command, want := range map[string]string{
		"loop":    "a call took longer than 3s",
		"spin":    "a call took longer than 3s",
		"sleep":   "a call took longer than 3s",
		"panic":   "it said: panic: as it was told",
		"exit":    "it ended itself with code 3",
		"grow":    "out of memory",
		"wait":    "it said: fatal error: all goroutines are asleep",
		"rest":    "the rest is longer than the 5 bytes it was given",
		"nothing": "a message of no bytes",
		"tags":    "100 tags; at most 64",
		"long":    "at most 65536",
	} {
		t.Run(command, func(t *testing.T) {
			h := patient
			if strings.Contains(want, "took longer") {
				h = hasty
			}
			logged := strings.Count(log.String(), "it is stopped")
			load(t, h)
			c := sessiontest.Open(client, server)
			c.Client("before\n")
			c.Server("yes\n")
			c.Client("waits\n")
			c.Client(command + "\n")
			c.Client("after\n")
			c.Server("yes\n")
			c.Close()
			got := run(t, h, c)
			if len(got) != 2 || !strings.Contains(got[0], "paired 7>4 ") || !strings.Contains(got[1], "undecodable 6>0 ") {
				t.Errorf("%s", strings.Join(got, "\n"))
			}
			s := h.Status()
			if len(s) != 1 || !errors.Is(s[0].Err, plugin.ErrStopped) || !strings.Contains(s[0].Err.Error(), want) || s[0].Memory != 0 {
				t.Errorf("%+v, want %s", s, want)
			}
			if n := strings.Count(log.String(), "it is stopped"); n != logged+1 {
				t.Errorf("it is told %d times: %s", n-logged, log)
			}
			load(t, h)
			c = sessiontest.Open(client, server)
			c.Client("hello\n")
			c.Server("yes\n")
			c.Close()
			if got := run(t, h, c); len(got) != 1 || h.Status()[0].Err != nil {
				t.Errorf("loaded again: %s %+v", got, h.Status())
			}
		})
	}
}

func TestBrokenGo(t *testing.T) {
	h := host(t, plugin.Options{})
	h.Register("test", &lines{})
	c := sessiontest.Open(client, server)
	c.Client("panic\n")
	c.Close()
	if got := run(t, h, c); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if s := h.Status(); !errors.Is(s[0].Err, plugin.ErrStopped) || !strings.Contains(s[0].Err.Error(), "it panicked: as it was told") {
		t.Errorf("%+v", s)
	}
}

// TestReplaced replaces a plug-in under a connection.
func TestReplaced(t *testing.T) {
	h := host(t, plugin.Options{Dir: folder(t), Timeout: time.Minute})
	h.Register("test", &lines{})
	c := sessiontest.Open(client, server)
	c.Client("one\n")
	c.Server("1\n")
	first := len(c.Segments)
	c.Client("two\n")
	c.Server("2\n")
	c.Close()
	var got []string
	e := session.New(session.Options{
		Protocol: h.Protocol, Port: func(uint32, netip.AddrPort) string { return "test" },
		Session: func(s *session.Session) { got = append(got, text(s)) },
	})
	for i := range c.Segments {
		if i == first {
			load(t, h)
		}
		e.Segment(&c.Segments[i])
	}
	e.Flush()
	if len(got) != 2 || !strings.Contains(got[0], "request=one response=1") || !strings.Contains(got[1], "said=two") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}
