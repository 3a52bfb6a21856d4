package cassandra

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// proxy stands between the driver and Cassandra, and cuts the connections
// when an answer is on its way: what was asked for has been done by then.
type proxy struct {
	addr, to string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	left  int           // answers that pass until the cut; -1: all
	on    []byte        // the cut is after what is asked with this,
	asked bool          // which was asked: it is to be answered yet
	away  bool          // since the cut: nobody gets through
	delay time.Duration // of each answer
	done  sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{addr: testutil.FreeAddr(t), to: to, conns: map[net.Conn]struct{}{}, left: -1}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.done.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.done.Wait()
	})
	return p
}

func (p *proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to) //nolint:noctx // ends with the proxy
		if err != nil || !p.admit(client, server) {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.done.Go(func() { p.pass(client, server, p.ask) })
		p.done.Go(func() { p.pass(server, client, p.answer) })
	}
}

func (p *proxy) admit(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

// pass copies from one to the other as long as it may.
func (p *proxy) pass(from, to net.Conn, may func([]byte) bool) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !may(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// ask looks for the question whose answer is to be kept back.
func (p *proxy) ask(data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on != nil && bytes.Contains(data, p.on) {
		p.on, p.asked = nil, true
	}
	return true
}

// applied is in the answer to each lightweight transaction, and in no other.
var applied = []byte("[applied]")

// answer counts an answer; it returns false for the one that is kept back.
func (p *proxy) answer(data []byte) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	time.Sleep(delay)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return false
	}
	if p.asked && bytes.Contains(data, applied) { // others, such as those to heartbeats, say nothing of it
		p.asked, p.left = false, 0
	}
	if p.left > 0 {
		p.left--
		return true
	}
	if p.left == 0 {
		p.left, p.away = -1, true
		for c := range p.conns {
			_ = c.Close()
		}
		clear(p.conns)
		return false
	}
	return true
}

// cutAfter lets so many answers pass, keeps the next one back and is away.
func (p *proxy) cutAfter(answers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = answers
}

// slow delays each answer from now on.
func (p *proxy) slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// cutAfterAsking keeps the answer back to the transaction that is asked for
// with these bytes.
func (p *proxy) cutAfterAsking(with []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = with
}

// heal lets everything pass again and reports whether there was a cut.
func (p *proxy) heal() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.away
	p.left, p.on, p.asked, p.away = -1, nil, false, false
	return was
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	for c := range p.conns {
		_ = c.Close()
	}
}
