package main

import (
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/internal/testutil"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		isReq bool
		data  string
		rest  string
		tags  string // "" is nil
	}{
		{true, "get a\r\n", "", "db.operation.name=get db.system.name=memcached memcached.key=a"},
		{true, "get a b\r\nget c", "get c", "db.operation.name=get db.system.name=memcached memcached.key=a memcached.keys=2"},
		{true, "set k 0 0 5\r\nhello\r\nget", "get", "db.operation.name=set db.system.name=memcached memcached.key=k memcached.value.size=5"},
		{true, "set k 0 0 5\r\nhel", "set k 0 0 5\r\nhel", ""},
		{true, "set k 0 0 5 noreply\r\nhello\r\n", "", "clovisor.no_response=true db.operation.name=set db.system.name=memcached memcached.key=k memcached.value.size=5"},
		{true, "set k 0\r\n", "", "db.operation.name=set db.system.name=memcached"},
		{true, "get", "get", ""},
		{true, "\r\nget", "get", ""},
		{true, strings.Repeat("x", 3000), "", ""},
		{false, "STORED\r\n", "", "db.response.status_code=STORED"},
		{false, "END\r\n", "", "db.response.status_code=END memcached.hits=0 memcached.value.size=0"},
		{false, "VALUE a 0 3\r\nxyz\r\nVALUE b 0 1\r\n1\r\nEND\r\nX", "X", "db.response.status_code=END memcached.hits=2 memcached.value.size=4"},
		{false, "VALUE a 0 3\r\nxyz\r\n", "VALUE a 0 3\r\nxyz\r\n", ""},
		{false, "VALUE a 0 3\r\nxy", "VALUE a 0 3\r\nxy", ""},
		{false, "VALUE a\r\n", "", "error.type=malformed"},
		{false, "STAT a 1\r\nSTAT b 2\r\nEND\r\n", "", "db.response.status_code=END memcached.hits=0 memcached.value.size=0"},
		{false, "STAT a 1\r\n", "STAT a 1\r\n", ""},
		{false, "SERVER_ERROR out of memory\r\n", "", "db.response.status_code=SERVER_ERROR error.type=SERVER_ERROR"},
	} {
		rest, tags := parser{}.Parse("c", test.isReq, []byte(test.data))
		if string(rest) != test.rest || text(tags) != test.tags || (tags == nil) != (test.tags == "") {
			t.Errorf("%q: rest %q, tags %s", test.data, rest, text(tags))
		}
	}
}

func text(tags map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, k+"="+tags[k])
	}
	return strings.Join(list, " ")
}

func FuzzParse(f *testing.F) {
	f.Add(true, []byte("set k 0 0 5\r\nhello\r\n"))
	f.Add(false, []byte("VALUE a 0 3\r\nxyz\r\nEND\r\n"))
	f.Add(false, []byte("VALUE a 0 99999999999999999999\r\n"))
	f.Fuzz(func(t *testing.T, isReq bool, data []byte) {
		rest, tags := parser{}.Parse("c", isReq, data)
		if len(rest) > len(data) || len(tags) > 64 || tags != nil && len(rest) == len(data) {
			t.Errorf("rest of %d bytes, tags %v", len(rest), tags)
		}
	})
}

// load builds the plug-in as a user does, and loads it.
func load(t testing.TB) *plugin.Host {
	t.Helper()
	file := testutil.WASM(t, ".")
	h := plugin.NewHost(plugin.Options{Dir: filepath.Dir(file), Timeout: time.Minute, CompileTimeout: time.Hour, Share: 1})
	t.Cleanup(h.Close)
	if err := h.Load("memcached", file); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestModule holds that sessions come out of the module as out of the parser
// in Go, however the connection is cut.
func TestModule(t *testing.T) {
	native := plugin.NewHost(plugin.Options{})
	native.Register("memcached", parser{})
	for name, h := range map[string]*plugin.Host{"Go": native, "WebAssembly": load(t)} {
		for _, mss := range []int{1, 3, 1460} {
			c := sessiontest.Open(netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:11211"))
			c.MSS = mss
			c.Client("set a 0 0 3\r\nxyz\r\nset b 0 0 1 noreply\r\n1\r\nget a b\r\n")
			c.Server("STORED\r\nVALUE a 0 3\r\nxyz\r\nVALUE b 0 1\r\n1\r\nEND\r\n")
			c.Client("incr a 1\r\n")
			c.Server("CLIENT_ERROR cannot increment\r\n")
			c.Close()
			got, _ := sessiontest.Run(session.Options{
				Protocol: h.Protocol, Port: func(uint32, netip.AddrPort) string { return "memcached" },
			}, c.Segments)
			var list []string
			for _, s := range got {
				line := s.Protocol + " " + string(s.Outcome)
				for _, a := range s.Attributes {
					line += " " + a.Key + "=" + a.Value
				}
				list = append(list, strings.ReplaceAll(line, "db.system.name=memcached ", ""))
			}
			want := []string{
				"memcached paired db.operation.name=set memcached.key=b memcached.value.size=1",
				"memcached paired db.operation.name=set memcached.key=a memcached.value.size=3 db.response.status_code=STORED",
				"memcached paired db.operation.name=get memcached.key=a memcached.keys=2 db.response.status_code=END memcached.hits=2 memcached.value.size=4",
				"memcached paired db.operation.name=incr memcached.key=a db.response.status_code=CLIENT_ERROR error.type=CLIENT_ERROR",
			}
			if !slices.Equal(list, want) {
				t.Errorf("%s, segments of %d:\n%s\nwant\n%s", name, mss, strings.Join(list, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// BenchmarkSession is a request and its response, by the parser in Go and by
// the same one as WebAssembly; each is two calls.
func BenchmarkSession(b *testing.B) {
	native := plugin.NewHost(plugin.Options{})
	native.Register("memcached", parser{})
	for _, c := range []struct {
		name string
		host *plugin.Host
	}{{"Go", native}, {"WebAssembly", load(b)}} {
		b.Run(c.name, func(b *testing.B) {
			memcached, _ := c.host.Protocol("memcached")
			n := 0
			p := memcached.New(&protocol.Context{Shared: &protocol.Shared{}, Emit: func(*protocol.Exchange) { n++ }}, false)
			request, response := []byte("get user:4711\r\n"), []byte("VALUE user:4711 0 5\r\nhello\r\nEND\r\n")
			ask, answer := protocol.Chunk{From: protocol.Client, Data: request}, protocol.Chunk{From: protocol.Server, Data: response}
			b.ReportAllocs()
			for b.Loop() {
				ask.Time, answer.Time = time.Now(), time.Now()
				p.Data(&ask)
				ask.Offset += int64(len(request))
				answer.Acked = ask.Offset
				p.Data(&answer)
				answer.Offset += int64(len(response))
				ask.Acked = answer.Offset
			}
			if n == 0 || c.host.Status()[0].Err != nil {
				b.Fatal(n, c.host.Status())
			}
		})
	}
}
